"""Junk anywhere in a JSON file of annotations: one line that says so, or no harm; never a traceback."""

import contextlib
import json
import random

import annotated
import pytest

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

JUNK = (None, True, -1, 0, 1.5, float("nan"), 1e300, 10**30, "", "x", "../../x", "/x", [], {}, [[]], [{}], [1], "\0")


def places(value, path=()):
    """The paths of all values in JSON, of lists only the first ones."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("layout", [name for name in annotated.WRITERS if name not in ("yolo", "cvat_images")])
def test_junk(tmp_path, layout):
    annotated.WRITERS[layout](tmp_path, ["a", "b", "c", "d", "e", "f", "g", "h"])
    path = min(tmp_path.rglob("ann/*.json"), default=min(tmp_path.rglob("*.json")))
    text, refused, draw = path.read_text(encoding="utf-8"), 0, random.Random(0)
    for _ in range(25):
        content = json.loads(text)
        *way, last = draw.choice([place for place in places(content) if place])
        target = content
        for key in way:
            target = target[key]
        target[last] = draw.choice(JUNK)
        path.write_text(json.dumps(content), encoding="utf-8")
        with contextlib.suppress(UserError):
            refused += 1
            inspect_pairs(open_pairs(tmp_path, "train", layout)).require_sound()
            refused -= 1
    assert refused > 5


@pytest.mark.parametrize("depth", [700, 100_000])
@pytest.mark.parametrize("layout", [name for name in annotated.WRITERS if name not in ("yolo", "cvat_images")])
def test_values_that_are_nested_deeply(tmp_path, layout, depth):
    annotated.WRITERS[layout](tmp_path, list("abcdefgh"))
    path = min(tmp_path.rglob("ann/*.json"), default=min(tmp_path.rglob("*.json")))
    text = path.read_text(encoding="utf-8")
    place = text.rindex("{", 0, text.rindex(":"))
    path.write_text(f'{text[:place]}{{"deep": {"[" * depth}{"]" * depth}, {text[place + 1 :]}', encoding="utf-8")
    with contextlib.suppress(UserError):
        inspect_pairs(open_pairs(tmp_path, "train", layout)).require_sound()
