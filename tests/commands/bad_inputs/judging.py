"""Runs a case in this process and says what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands.bad_inputs.case import SCRIPTS, Case
from conftest import Call
from tiny_runs import eagerly

from keras_fcn import UserError

_KEPT = ("checked_files.json", "config.json")
"""What a run that cannot be resumed keeps nevertheless: which files are known, and options that it was resumed with."""

LONGEST = 700
"""Characters of a line that people still read."""

_FIX = re.compile(
    "; |: save |must |takes |needs |exclude|(is|are) for |did you mean|such as|instead of|leave |missing|choose|"
    "Received|--help"
)


@dataclass(frozen=True)
class Outcome:
    """How a case ended: its status, what it wrote to both outputs, and the line that it was refused by."""

    status: object
    out: str
    err: str

    @property
    def line(self) -> str:
        lines = [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]
        return lines[0] if len(lines) == 1 else ""

    @property
    def kind(self) -> str:
        """Returns "traceback", "refused", "handled" or, if nothing was said, "silent"."""
        if "Traceback" in self.err or self.status not in (0, 1, 2):
            return "traceback"
        return "refused" if self.status == 2 else "handled" if (self.out + self.err).strip() else "silent"


def run(case: Case, folder: Path) -> Outcome:
    """Makes the input in an empty folder and gives it to its command, which may write to `out`, or a resumed run."""
    with contextlib.chdir(folder):
        case.make(folder)
        before = _tree(folder)
        outcome = _called(case, folder)
    after = _tree(folder)
    changed = {name for name, content in after.items() if before.get(name) != content}
    if isinstance(case.words, str) and "--resume run" in case.words:  # what was found in files is kept
        known = () if outcome.status == 2 and not case.steps else ("",)
        changed = {name for name in changed if not name.startswith(tuple(f"run/{end}" for end in (*_KEPT, *known)))}
    elif outcome.status in (0, 1):
        changed = {name for name in changed if not name.startswith("out")}
    if not case.steps:
        changed |= {f"{name}, which is lost" for name in before.keys() - after.keys()}
    if changed:
        return Outcome(outcome.status, outcome.out, f"{outcome.err}\nTraceback: it wrote {sorted(changed)}")
    return outcome


@contextlib.contextmanager
def _without_steps():
    """Ends trainings where they begin, with all opened, checked and built."""
    from keras_fcn.training.trainer import Training

    def begin(*_: object) -> None:
        print("The training begins.")
        sys.exit(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "train", begin)
        yield


def _called(case: Case, folder: Path) -> Outcome:
    if case.command != "train":
        return _ended(case, folder)
    with eagerly() if case.steps else _without_steps():
        return _ended(case, folder)


def _ended(case: Case, folder: Path) -> Outcome:
    if isinstance(case.words, str):
        name, *words = shlex.split(case.words)
        try:
            call = Call(SCRIPTS[name], *words)
        except Exception as error:  # what a process would end with as a traceback
            return Outcome(type(error).__name__, "", f"Traceback: {error!r}")
        return Outcome(getattr(call, "status", 0), call.out, call.err)
    try:
        return Outcome(0, str(case.words(folder)), "")
    except UserError as error:
        return Outcome(2, "", f"error: {error}")
    except Exception as error:
        return Outcome(type(error).__name__, "", f"Traceback: {error!r}")


def _tree(folder: Path) -> dict[str, bytes | None]:
    """Returns the content of all files below a folder by their names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def faults(case: Case, outcome: Outcome, folder: Path) -> list[str]:
    """Returns what is wrong with how a case ended; nothing if it ended as it should."""
    expected = "refused" if case.handled is None else "handled"
    if outcome.kind != expected:
        return [
            f"is {outcome.kind} ({outcome.status}) instead of {expected}: {outcome.out[-300:]} {outcome.err[-900:]}"
        ]
    return list(_faults_of_line(case, outcome) if expected == "refused" else _faults_of_work(case, outcome, folder))


def _faults_of_line(case: Case, outcome: Outcome):
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    if not outcome.line or lines[-1] != f"error: {outcome.line}":
        yield f"is not one line: {lines}"
    elif len(outcome.line) > LONGEST:
        yield f"has {len(outcome.line)} characters: {outcome.line}"
    elif not outcome.line.isprintable():
        yield f"has signs that no terminal shows: {outcome.line!r}"
    elif missing := [name for name in case.names if name not in outcome.line]:
        yield f"does not name {missing}: {outcome.line}"
    elif isinstance(case.words, str) and not _FIX.search(outcome.line):
        yield f"says no fix: {outcome.line}"


def _faults_of_work(case: Case, outcome: Outcome, folder: Path):
    if outcome.status != case.status:
        yield f"ends with {outcome.status} instead of {case.status}: {outcome.out[-300:]} {outcome.err[-300:]}"
    said = outcome.out + outcome.err
    if missing := [name for name in (case.handled or "", *case.names) if name not in said]:
        yield f"does not say {missing}: {said[-900:]}"
    if case.proves is not None:
        case.proves(folder)
