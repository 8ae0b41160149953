"""Every call fails once: the same bits afterwards, or one line; never a traceback, a half file or a lost one."""

import itertools
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from cases import CASES, OUTPUTS, TINY, prepare, problems, tree
from disturbances import DISTURBANCES, disturbed
from injection import ERRORS, SHORT, Commands, Fault, compiled, faults_at
from onnx_files import write_onnx
from web_sites import write_engine

from keras_fcn.datasets.toy import draw_toy_dataset

SEED, SAMPLE = (int(os.environ.get(name, default)) for name, default in (("FAULTS_SEED", "0"), ("FAULTS_SAMPLE", "25")))
KINDS = os.environ.get("FAULTS_KINDS", ",".join(ERRORS)).split(",")
EVERY, PLACES = "FAULTS_EVERY" in os.environ, os.environ.get("FAULTS_PLACES", "")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    library = compiled(tmp_path_factory.mktemp("library"))
    if library is None:
        pytest.skip("needs Linux and a C compiler cc")
    return library


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    kept = Path(os.environ.get("FAULTS_KEPT") or tmp_path_factory.mktemp("kept"))
    if not (kept / "data").exists():
        draw_toy_dataset(kept / "data", {"train": 4, "val": 2})
    return kept


@pytest.fixture(scope="module")
def prepared(library, kept):
    """In `kept` a run, its export to ONNX, earlier outputs that new ones are to replace, and what is served."""
    if (kept / "next").exists():
        return
    with Commands(library, kept / "commands", kept, CASES["train"].modules[:-1]) as commands:
        for words in (
            ["train.py", "--data", kept / "data", "--run-dir", kept / "run", "--epochs", 1, *TINY],
            ["-m", "export.onnx", kept / "run", kept / "onnx", "--output", "both"],
            ["predict.py", kept / "run", kept / "data/JPEGImages", "--out", kept / "older", *OUTPUTS],
        ):
            outcome = commands.run(words)
            assert outcome.status == 0, outcome.err
    for path in kept.glob("older/**/*.*"):
        path.write_text("older")
    write_engine(kept / "engine")
    write_onnx(kept / "models/1/model.onnx")
    write_onnx(kept / "next/model.onnx", both=True)


def undisturbed(case, commands, work, kept):
    """Runs a case without a fault; returns its files and calls."""
    if case.older == "begun":
        prepare(work, kept, CASES["train"])
        calls = commands.run(case.command(work)).calls
        writes = [place for place in calls if place.startswith("rename ")]
        prepare(work, kept, CASES["train"])
        commands.run(case.command(work), Fault("rename", len(writes) // 2, -signal.SIGKILL))
        shutil.rmtree(kept / "begun", ignore_errors=True)
        shutil.copytree(work / "out", kept / "begun")
    prepare(work, kept, case)
    outcome = commands.run(case.command(work))
    assert outcome.status == 0, outcome.err
    return tree(work / "out"), outcome.calls


def test_a_fault_of_each_kind_in_a_conversion(library, kept, tmp_path):
    """The short form: what reads and writes is the same everywhere, and this command loads nothing that takes long."""
    case, work = CASES["convert"], tmp_path / "work"
    with Commands(library, tmp_path / "commands", work, case.modules) as commands:
        expected, calls = undisturbed(case, commands, work, kept)
        chosen = {}
        for fault in faults_at(calls, KINDS, SEED):
            chosen.setdefault(fault.kind, fault)
        assert set(chosen) >= {"open", "read", "write", "rename", "list", "mkdir", "stat"}
        chosen["short"] = chosen["write"]._replace(error=SHORT)
        ends = {}
        for name, fault in chosen.items():
            wrong, outcome = problems(case, commands, work, kept, expected, fault)
            assert not wrong
            assert [hit.split()[0] for hit in outcome.hit] == [fault.kind]  # threads may reach another file first
            ends[name] = outcome.status
        assert ends["short"] == 0
        assert 2 in ends.values()


def require_survived(name, library, tmp_path, request, faults_of):
    """Tries what a function gives of an undisturbed run's calls on a case; asserts that nothing is wrong."""
    case, work, wrong, ends, kept = CASES[name], tmp_path / "work", [], {}, request.getfixturevalue("kept")
    if {*case.needs, case.older} - {"data", "", "begun"}:
        request.getfixturevalue("prepared")
    with Commands(library, tmp_path / "commands", work, case.modules) as commands:
        expected, calls = undisturbed(case, commands, work, kept)
        for fault, statuses, more in faults_of(calls):
            found, outcome = problems(case, commands, work, kept, expected, fault, statuses, **more)
            wrong += found
            key = (fault.kind if fault else "", outcome.status if outcome.hit or not fault else "not reached")
            ends[key] = ends.get(key, 0) + 1
            print(
                f"{name}: {fault} {more or ''}: {outcome.status} {outcome.err.strip()[-200:]}",
                *found,
                outcome.trace[-900:] if found else "",
                sep="\n  ",
                flush=True,
            )
    print(name, ends)
    shutil.rmtree(work)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"train in two workers"}))
def test_calls_fail_one_after_the_other(library, tmp_path, name, request):
    """FAULTS_EVERY=1 takes every call with every errno: hours. FAULTS_SAMPLE is the number of calls otherwise."""

    def faults(calls):
        chosen = [fault for fault in faults_at(calls, KINDS, SEED, EVERY) if re.search(PLACES, fault.place)]
        return [(fault, (0, 1, 2), {}) for fault in (chosen if EVERY else chosen[:SAMPLE])]

    require_survived(name, library, tmp_path, request, faults)


TRAININGS = ("train", "train with cached features", "train in two workers")
SIGNALS, OTHERS = ("interrupted", "interrupted twice", "stopped and continued"), ("clock", "memory")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [
        (name, "killed")
        for name in (*TRAININGS, "convert", "predict by ONNX Runtime", "predict over older", "export.onnx")
    ]
    + [("train", how) for how in DISTURBANCES if how != "killed"]
    + [(name, how) for name in ("convert", "predict by ONNX Runtime") for how in SIGNALS]
    + [
        (name, how)
        for name in ("train", "train resumed", "check", "convert", "predict by ONNX Runtime")
        for how in OTHERS
    ],
)
def test_commands_are_disturbed(library, tmp_path, name, how, request):
    def faults(calls):
        return itertools.islice(disturbed(how, calls, SEED, tmp_path / "work/out"), SAMPLE)

    require_survived(name, library, tmp_path, request, faults)
