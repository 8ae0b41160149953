"""Every bad input is refused in one line or handled in words: the tables of docs/explanation/bad_inputs.md."""

import os

import pytest
from commands.bad_inputs.judging import faults, run
from commands.bad_inputs.table import PAGE, SAMPLE, all_cases, counts, examples, table, written

pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")

CASES = all_cases()


def test_some_of_each_kind_and_the_page_are_as_they_should_be(tmp_path):
    lines = {}
    for kind, case in CASES:
        if SAMPLE.get(kind) == case.name:
            folder = tmp_path / str(len(lines))
            folder.mkdir()
            outcome = run(case, folder)
            assert not faults(case, outcome, folder)
            lines[case.name] = outcome.line
    assert len(lines) == len(SAMPLE)
    page = PAGE.read_text(encoding="utf-8")
    wanted = written(written(page, "counts", table(counts(CASES))), "examples", examples(lines))
    if os.environ.get("BAD_INPUTS") == "write":
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted


def test_names_are_told_apart():
    names = [f"{kind}: {case.name}" for kind, case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}: {case.name}" for kind, case in CASES])
def test_it_is_refused_in_a_line_or_handled_in_words(kind, case, tmp_path):
    outcome = run(case, tmp_path)
    assert not faults(case, outcome, tmp_path)
