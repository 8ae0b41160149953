"""JSON of any size is read entry by entry; COCO's is not read again at the next start."""

import importlib
import json
import tracemalloc
from pkgutil import resolve_name

import numpy as np
import pytest
from layouts import save

from keras_fcn.datasets import open_pairs
from keras_fcn.datasets.layouts.annotations.coco import contents, index
from keras_fcn.datasets.layouts.annotations.common import pieces
from keras_fcn.errors import UserError
from keras_fcn.runs.names import LAYOUTS


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
    found = {}
    with pieces.opened_json(tmp_path / "a.json") as opened:
        for key in opened.members():
            is_list = opened.next() == "["
            found[key] = list(opened.entries()) if is_list else opened.value()[0]
    assert {key: [entry for entry, *_ in found[key]] for key in "abd"} == {key: CONTENT[key] for key in "abd"}
    assert {key: found[key] for key in ("info", "c")} == {key: CONTENT[key] for key in ("info", "c")}
    content = (tmp_path / "a.json").read_bytes()
    assert [json.loads(content[start:end]) for _, start, end in found["a"]] == CONTENT["a"]


def test_json_that_breaks_off_anywhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE", 10)
    text = json.dumps(CONTENT)
    for broken in (*(text[:end] for end in range(len(text))), f"{text}}}", f"{text} x", f"{text}{{}}"):
        (tmp_path / "a.json").write_text(broken, encoding="utf-8")
        with (
            pytest.raises(UserError, match=r"a.json: is not JSON \("),
            pieces.opened_json(tmp_path / "a.json") as opened,
        ):
            assert all(opened.value() for _ in opened.members())
    (tmp_path / "a.json").write_text("[{}]", encoding="utf-8")
    with pytest.raises(UserError, match="is JSON of another form"), pieces.opened_json(tmp_path / "a.json") as opened:
        list(opened.members())


def polygons(form, number):
    """An image with twenty polygons of thirty points, as an entry of its file."""
    points = [[0.5 + each, 1.5 * each] for each in range(30)]
    if form == "via":
        shape = {"name": "polygon", "all_points_x": [x for x, _ in points], "all_points_y": [y for _, y in points]}
        regions = [{"shape_attributes": shape, "region_attributes": {"kind": "cat"}}] * 20
        return {"filename": "0.png", "size": number, "regions": regions}
    results = [{"original_width": 12, "value": {"points": points, "polygonlabels": ["cat"]}}] * 20
    return {"id": number, "data": {"image": "/0.png"}, "annotations": [{"result": results}]}


@pytest.mark.parametrize("form", ["coco", "via", "label_studio"])
def test_memory_does_not_grow_with_the_polygons(tmp_path, monkeypatch, form):
    monkeypatch.setattr(pieces, "_PIECE", 1 << 16)
    save(tmp_path / "0.png", np.zeros((9, 12, 3), np.uint8))
    if form == "coco":
        entry = {"image_id": 0, "category_id": 1, "segmentation": [[number + 0.5 for number in range(60)]]}
        content = {"images": [{"id": 0, "file_name": "0.png"}], "categories": [{"id": 1, "name": "cat"}]}
        content["annotations"] = [entry | {"id": number} for number in range(2000)]
    else:
        content = [polygons(form, number) for number in range(100)]
    content = {f"{number}.png": entry for number, entry in enumerate(content)} if form == "via" else content
    path = tmp_path / f"{form}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    module = importlib.import_module(LAYOUTS[form].function.partition(":")[0])
    monkeypatch.setattr(contents if form == "coco" else module, "draw_pairs", lambda *given: None)
    read = resolve_name(LAYOUTS[form].function)
    read(tmp_path, "all")  # what is made once, by us or by what looks at our lines, is not counted
    tracemalloc.start()
    read(tmp_path, "all")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size
