"""Asks the tests that reach a line whether they notice a change of it; no file of the project is written."""

import contextlib
import gc
import importlib
import importlib.machinery
import linecache
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest
from processes import forked


@dataclass(frozen=True)
class Mutant:
    """A source file with one change."""

    path: Path
    statement: int
    """The line in which the changed statement begins."""
    line: int
    """The line in which what is changed begins."""
    source: str
    before: str
    """The lines that are gone, in one line."""
    after: str
    """The lines in their place."""


class MutatedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from a text in place of its file's, and keeps no bytecode."""

    source = ""

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec", dont_inherit=True)


class MutatedFinder:
    """Has one file loaded in another form, whoever imports it."""

    def __init__(self, mutant) -> None:
        self.mutant = mutant
        path, lines, read = str(mutant.path), mutant.source.splitlines(keepends=True), linecache.updatecache
        linecache.cache[path] = len(mutant.source), None, lines, path  # for what reads sources, as AutoGraph does
        linecache.updatecache = lambda name, of=None: lines if name == path else read(name, of)  # it asks for it anew

    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin != str(self.mutant.path):
            return None
        spec.loader = MutatedLoader(name, spec.origin)
        spec.loader.source = self.mutant.source
        return spec


class Chosen:
    """A pytest plugin: runs tests by their names, in order, tells coverage which one runs, and takes their time."""

    def __init__(self, names=None, without=(), tracer=None) -> None:
        self.ranks = names and {name: rank for rank, name in enumerate(names)}
        self.without, self.tracer, self.seconds = set(without), tracer, defaultdict(float)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self.without.isdisjoint(item.fixturenames)]
        if self.ranks is not None:
            chosen = [item for item in items if item.nodeid in self.ranks]
            if len(chosen) == len(self.ranks):  # else the change made other tests of them, and all are run
                items[:] = sorted(chosen, key=lambda item: self.ranks[item.nodeid])

    def pytest_runtest_logstart(self, nodeid):
        if self.tracer is not None:
            self.tracer.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration


def run_tests(root, tests, names=None, mutant=None, trace=(), without=()):
    """Runs pytest in this process, up to the first test that fails.

    Args:
        root: The folder of pytest's settings.
        tests: Files and folders in it.
        names: Those of their tests that are run, in that order; all if None.
        mutant: What is loaded in place of a file.
        trace: Files whose lines are watched.
        without: Fixtures; tests that take one of them are not run.

    Returns its status, the seconds of each test, for each traced file and line the tests that reach it, and the modules
    that were imported from elsewhere.
    """
    if mutant is not None:
        sys.meta_path.insert(0, MutatedFinder(mutant))
    tracer = coverage.Coverage(data_file=None, include=[*map(str, trace)], config_file=False) if trace else None
    plugin = Chosen(names, without, tracer)
    words = [
        "-q",
        "-x",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        f"--rootdir={root}",
        f"--basetemp={Path.cwd() / 'tests'}",
    ]
    with tracer.collect() if tracer else contextlib.nullcontext():
        status = pytest.main([*words, *(str(root / test) for test in tests)], plugins=[plugin])
    reached = {str(path): tracer.get_data().contexts_by_lineno(str(path)) for path in trace}
    return {"status": int(status), "seconds": plugin.seconds, "reached": reached, "modules": foreign_modules(root)}


def foreign_modules(root):
    """Returns the names of the modules that this process imported from elsewhere, in that order."""
    files = {name: getattr(getattr(module, "__spec__", None), "origin", None) for name, module in sys.modules.items()}
    return [name for name, file in files.items() if file and (file.startswith(sys.prefix) or str(root) not in file)]


def load(modules):
    """Imports what takes long, but nothing of the project; starts nothing: threads would not be in a forked process."""
    before = set(sys.modules)
    for name in modules:
        if name == "tensorflow":
            importlib.import_module("keras_fcn.system.startup").start_tensorflow(list_devices=False)
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for name in [name for name in set(sys.modules) - before if name.split(".")[0] in ("keras_fcn", "export")]:
        del sys.modules[name]
    gc.freeze()


class Tests:
    """The tests in some files and folders, once they have passed: which of them reach a line, how long they take."""

    def __init__(self, root, paths, tests, without=()) -> None:
        self.root = root
        answer, printed = forked(3600, run_tests, root, tests, trace=paths, without=without)
        if not isinstance(answer, dict) or answer["status"]:
            sys.exit(f"{printed}\nerror: these tests must pass before the code is changed: {' '.join(tests)}")
        self.seconds, self.reached = answer["seconds"], answer["reached"]
        self.files = [*dict.fromkeys(name.split("::")[0] for name in self.seconds)]
        load(answer["modules"])

    def of(self, mutant):
        """Returns the names of the tests that reach a mutant's line, file by file, the fastest of each first.

        What runs at an import, or in threads that TensorFlow starts, is reached by all tests that reach the file.
        """
        lines = {int(line): {name for name in names if name} for line, names in self.reached[str(mutant.path)].items()}
        near = [lines.get(line, set()) for line in range(mutant.statement, mutant.line + 1)]
        names = set().union(*near) or set().union(*lines.values())
        return sorted(names, key=lambda name: (self.files.index(name.split("::")[0]), self.seconds[name], name))

    def notice(self, mutant):
        """Returns what noticed a mutant: a "test", the "import", the "clock" or a "crash"; "" if nothing did."""
        if not (names := self.of(mutant)):
            return ""
        files = [*dict.fromkeys(name.split("::")[0] for name in names)]
        seconds = 10 + 3 * sum(self.seconds[name] for name in names)
        answer, _ = forked(seconds, run_tests, self.root, files, names, mutant)
        return {0: "", 1: "test"}.get(answer["status"], "import") if isinstance(answer, dict) else answer
