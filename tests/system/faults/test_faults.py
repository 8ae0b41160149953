"""Every call fails once: the same bits afterwards, or one line; never a traceback, a half file or a lost one."""

import os
import re
import shutil

import pytest
from cases import CASES, OUTPUTS, TINY, prepare, problems, tree
from injection import ERRORS, SHORT, Commands, compiled, faults_at

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
    kept = tmp_path_factory.mktemp("kept")
    draw_toy_dataset(kept / "data", {"train": 4, "val": 2})
    return kept


@pytest.fixture(scope="module")
def trained_and_exported(library, kept):
    """A run of `kept`, its export to ONNX, and earlier outputs that new ones are to replace."""
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


def undisturbed(case, commands, work, kept):
    """Runs a case without a fault; returns its files and calls."""
    prepare(work, kept, case.needs)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_calls_fail_one_after_the_other(library, kept, tmp_path, name, request):
    """FAULTS_EVERY=1 takes every call with every errno: hours. FAULTS_SAMPLE is the number of calls otherwise."""
    case, work = CASES[name], tmp_path / "work"
    if "run" in case.needs or "onnx" in case.needs:
        request.getfixturevalue("trained_and_exported")
    wrong, ends = [], {}
    with Commands(library, tmp_path / "commands", work, case.modules) as commands:
        expected, calls = undisturbed(case, commands, work, kept)
        faults = [fault for fault in faults_at(calls, KINDS, SEED, EVERY) if re.search(PLACES, fault.place)]
        for fault in faults if EVERY else faults[:SAMPLE]:
            found, outcome = problems(case, commands, work, kept, expected, fault)
            wrong += found
            key = fault.kind, "not reached" if not outcome.hit else outcome.status
            ends[key] = ends.get(key, 0) + 1
            print(
                f"{name}: {fault}: {outcome.status} {outcome.err.strip()[-200:]}",
                *found,
                outcome.trace[-900:] if found else "",
                sep="\n  ",
                flush=True,
            )
    print(name, ends)
    shutil.rmtree(work)
    assert not wrong, "\n".join(wrong)
