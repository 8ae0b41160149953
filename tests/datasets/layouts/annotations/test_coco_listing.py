"""COCO's JSON of any size: read entry by entry, and not again at the next start."""

import json
import tracemalloc

import numpy as np
import pytest
from layouts import save

from keras_fcn.datasets import open_pairs
from keras_fcn.datasets.layouts.annotations.coco import index
from keras_fcn.datasets.layouts.annotations.common import pieces


def put(root, squares, **image):
    """An image of a square for each of these places."""
    images, objects = [], []
    for number, place in enumerate(squares):
        save(root / f"{number}.png", np.zeros((9, 12, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"} | image)
        square = [place, 1, place + 3, 1, place + 3, 4, place, 4]
        objects.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [square]})
    about = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "ça"}]}
    (root / "instances.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    return root


def columns(pairs):
    """The columns of the squares."""
    return [np.flatnonzero(pairs.read_label(label).any(0)).tolist() for label in pairs.labels]


def test_a_second_start_reads_no_object(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_FCN_CACHE", str(tmp_path / "cache"))
    root, scans = put(tmp_path / "data", [1, 5, 5]), []
    monkeypatch.setattr(index, "scan", lambda *given, scan=index.scan: (scans.append(given[0]), scan(*given))[1])
    first = open_pairs(root, "all")
    assert columns(first) == [[1, 2, 3], [5, 6, 7], [5, 6, 7]]
    assert len(scans) == 1
    again = open_pairs(root, "train")
    assert set(again.labels) <= set(first.labels)
    assert len(scans) == 1
    first.labels[1].unlink()
    assert columns(open_pairs(root, "all")) == [[1, 2, 3], [5, 6, 7], [5, 6, 7]]
    assert len(scans) == 2
    put(root, [2, 5, 5])
    assert columns(open_pairs(root, "all"))[0] == [2, 3, 4]
    assert len(scans) == 3
    for listing in (tmp_path / "cache/listings").rglob("*.json"):
        listing.write_text("[", encoding="utf-8")
    assert columns(open_pairs(root, "all"))[0] == [2, 3, 4]


CONTENT = {"info": {"by": "été 猫"}, "a": [{"x": "é"}, 12, [], "y", 1.5e3], "b": [], "c": {"a": [1]}, "d": [[1], None]}


@pytest.mark.parametrize("piece", [1, 7, 50, 1 << 20])
@pytest.mark.parametrize("separators", [(",", ":"), (" ,\n ", "\t: ")])
def test_entries_are_those_of_json(tmp_path, monkeypatch, piece, separators):
    monkeypatch.setattr(pieces, "_PIECE", piece)
    text = json.dumps(CONTENT, ensure_ascii=False, separators=separators).encode()
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + text)
    found = {key: [] for key in "abcd"}
    takers = {key: lambda *given, key=key: found[key].append(given) for key in found}
    assert pieces.read_lists(tmp_path / "a.json", takers) == {"a", "b", "d"}
    assert {key: [entry for entry, *_ in found[key]] for key in "abd"} == {key: CONTENT[key] for key in "abd"}
    content = (tmp_path / "a.json").read_bytes()
    assert [json.loads(content[start:end]) for _, start, end in found["a"]] == CONTENT["a"]


def test_json_that_breaks_off_anywhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE", 10)
    text = json.dumps(CONTENT)
    for end in range(len(text)):
        (tmp_path / "a.json").write_text(text[:end], encoding="utf-8")
        with pytest.raises(ValueError):  # noqa: PT011 -- json's own
            pieces.read_lists(tmp_path / "a.json", {})
    for more in ("}", " x", "{}"):
        (tmp_path / "a.json").write_text(text + more, encoding="utf-8")
        with pytest.raises(ValueError):  # noqa: PT011
            pieces.read_lists(tmp_path / "a.json", {})


def test_memory_does_not_grow_with_the_polygons(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE", 1 << 16)
    root = put(tmp_path, [1, 1])
    about = json.loads((root / "instances.json").read_text(encoding="utf-8"))
    polygon = [number + 0.5 for number in range(60)]
    objects = [about["annotations"][0] | {"id": number, "segmentation": [polygon]} for number in range(5000)]
    path = root / "instances.json"
    path.write_text(json.dumps(about | {"annotations": objects}), encoding="utf-8")
    tracemalloc.start()
    index.list_objects(path, {1: 1})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2
