"""What docs/reference/promises.md promises of commands, Python and HTTP is kept: fixtures/interfaces.txt lists it."""

import copy
import re
import runpy

import pytest
from conftest import ROOT

MADE = runpy.run_path(str(ROOT / "tests/fixtures/make_interfaces.py"))
COMMAND = "python tests/fixtures/make_interfaces.py"
PYTHON = "import keras_fcn"


def broken(promised, now):
    """Yields a line for each promise that does not hold."""
    for title, entries in promised.items():
        for name, words in entries.items():
            found = now.get(title, {}).get(name)
            lost = ["it"] if found is None else lost_words(words, found, title == PYTHON)
            if lost:
                yield f"[{title}] {name}: {' '.join(lost)} is gone; see docs/reference/promises.md: it stays until 2.0"


def lost_words(promised, now, are_arguments):
    """Returns the words that no longer mean what they did: values, and arguments that calls cannot give as before."""
    if not are_arguments:
        return [word for word in dict.fromkeys(promised) if promised.count(word) > now.count(word)]
    (before, _, named), (positions, _, names) = (cut(words) for words in (promised, now))
    lost = [word for word, found in zip(before, [*positions, *[""] * len(before)]) if not stands_for(found, word)]
    lost += [word for word in named if not any(stands_for(found, word) for found in (*positions, *names))]
    known = {word.rstrip("=") for word in promised}
    needed = [word for word in (*positions, *names) if word[0] != "*" and word[-1] != "=" and word not in known]
    return lost + [f"a call without {word}" for word in needed]


def cut(words):
    """Returns arguments by position, the star, and those by name."""
    at = words.index("*") if "*" in words else len(words)
    return words[:at], words[at : at + 1], words[at + 1 :]


def stands_for(found, word):
    return found in (word, f"{word.rstrip('=')}=")


@pytest.fixture(scope="module")
def promised():
    return MADE["from_text"](MADE["FILE"].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def now():
    pytest.importorskip("starlette", reason="pip install -r requirements-serve.txt")
    return MADE["interfaces"]()


def test_what_is_promised_is_there(promised, now):
    assert [*broken(promised, now)] == []


def test_what_is_new_is_written_down(now):
    assert MADE["FILE"].read_text(encoding="utf-8") == MADE["as_text"](now), f"if nothing is gone, {COMMAND}"


def test_the_list_has_every_command_of_the_page(promised):
    hooks = (ROOT / "docs/hooks.py").read_text(encoding="utf-8").split("COMMANDS = (", 1)[1].split(")", 1)[0]
    commands = [f"python {command}" for command in re.findall(r'"(.+?)"', hooks)]
    assert commands == [title for title in promised if title.startswith("python")]


@pytest.mark.parametrize(
    ("title", "name", "words", "lost"),
    [
        ("python predict.py", "--palette", None, "it"),
        ("python predict.py", "--palette", ["classes", "colours"], "colorblind"),
        ("python evaluate.py", "--tile", ["whole"], "whole"),
        ("the server's routes", "/v1/models/{name}:predict", [], "POST"),
        ("exit statuses", "every_command", ["0", "1", "2"], "130 138 143"),
        (PYTHON, "Predictor.probabilities", None, "it"),
        (PYTHON, "Predictor.probabilities", ["photo"], "image a call without photo"),
        (PYTHON, "read_label", ["classes", "path"], "path classes"),
        (PYTHON, "read_image", ["path", "channels"], "channels="),
        (PYTHON, "read_image", ["path", "size=", "channels="], "channels="),
        (PYTHON, "read_image", ["path", "channels=", "*", "size"], "a call without size"),
        (PYTHON, "tune", ["trials=", "config=", "*", "run_dir=", "resume=", "report=", "**settings"], "over= tracker="),
    ],
)
def test_what_is_gone_is_named(promised, title, name, words, lost):
    changed = copy.deepcopy(promised)
    changed[title][name] = words
    assert [*broken(promised, changed)] == [
        f"[{title}] {name}: {lost} is gone; see docs/reference/promises.md: it stays until 2.0"
    ]


def test_what_is_added_breaks_nothing(promised):
    added = copy.deepcopy(promised)
    added["python predict.py"]["--colour"] = ["text"]
    added["python predict.py"]["--palette"].append("grey")
    added[PYTHON]["read_image"] = ["path", "channels=", "size=", "*", "turned="]
    added[PYTHON]["Predictor.probabilities"] = ["image=", "**others"]
    added["python -m keras_fcn.draw"] = {"--size": ["whole"]}
    assert [*broken(promised, added)] == []
