"""Files of annotation tools that are cut off, of another form, or draw what no mask holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import annotated
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import HTML
from commands.bad_inputs.material import write

KIND = "Annotations"
NAMES = [*"abcdefgh"]
CONVERT = "convert data out"


def _file(root: Path) -> Path:
    """Returns the file of annotations that is damaged: the first of the images' own, else the first of all."""
    own = sorted(root.rglob("ann/*.json"))
    return min(own or [*root.rglob("*.json"), *root.rglob("*.xml"), *root.rglob("labels/**/*.txt")])


def _written(layout: str, change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        annotated.WRITERS[layout](folder / "data", NAMES)
        change(folder / "data")

    return make


def _content(content: bytes | str) -> Callable[[Path], object]:
    return lambda root: write(_file(root), content)


def _cut(root: Path) -> None:
    path = _file(root)
    write(path, path.read_bytes()[: path.stat().st_size * 2 // 3])


def _json(change: Callable[[Any], object]) -> Callable[[Path], object]:
    """Returns how to change the values of a file of JSON."""

    def apply(root: Path) -> None:
        content = json.loads(_file(root).read_text(encoding="utf-8"))
        write(_file(root), json.dumps(content if (made := change(content)) is None else made))

    return apply


def _set(*way: Any) -> Callable[[Path], object]:
    """Returns how to put a value, the last of the words, in a place of JSON."""
    *path, last, value = way

    def change(content: Any) -> None:
        for key in path:
            content = content[key]
        content[last] = value

    return _json(change)


def _drop(*way: Any) -> Callable[[Path], object]:
    *path, last = way

    def change(content: Any) -> None:
        for key in path:
            content = content[key]
        del content[last]

    return _json(change)


def _text(old: str, new: str) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        path = _file(root)
        text = path.read_text(encoding="utf-8")
        assert old in text, (old, text[:300])
        write(path, text.replace(old, new, 1))

    return apply


def _line(text: str) -> Callable[[Path], object]:
    """Returns how to write a line as the only one of the first image's labels."""
    return lambda root: write(min(root.rglob("labels/**/*.txt")), text)


def _yaml(text: str) -> Callable[[Path], object]:
    return lambda root: write(root / "data.yaml", text)


_OBJECT, _SHAPE = ("annotations", 0), ("shapes", 0)
_STUDIO = (0, "annotations", 0, "result", 0)
_FIGURE = ("objects", 0)
DAMAGES: dict[str, dict[str, Callable[[Path], object]]] = {
    "coco": {
        "a category that is not listed": _set(*_OBJECT, "category_id", 999),
        "an image that is not listed": _set(*_OBJECT, "image_id", 999),
        "no images": _drop("images"),
        "no categories": _drop("categories"),
        "images that are no list": _set("images", {"a": 1}),
        "a file name that is a number": _set("images", 0, "file_name", 7),
        "an image that is missing": _set("images", 0, "file_name", "nosuch.jpg"),
        "an image outside of the folder": _set("images", 0, "file_name", "../../etc/passwd"),
        "two images of one id": _set("images", 1, "id", 0),
        "run lengths that are too short": _set(*_OBJECT, "segmentation", "counts", [3, 4]),
        "run lengths that are negative": _set(*_OBJECT, "segmentation", "counts", [-3, 4]),
        "run lengths of letters": _set(*_OBJECT, "segmentation", "counts", "zzz"),
        "run lengths of a terabyte": _set(*_OBJECT, "segmentation", {"size": [10**6, 10**6], "counts": [10**12]}),
        "run lengths of another size": _set(*_OBJECT, "segmentation", "size", [2, 2]),
        "a polygon of one point": _set(*_OBJECT, "segmentation", [[1, 2]]),
        "a polygon of an odd number": _set(*_OBJECT, "segmentation", [[1, 2, 3, 4, 5, 6, 7]]),
        "a polygon of NaN": _set(*_OBJECT, "segmentation", [[1, 2, float("nan"), 4, 5, 6]]),
        "a polygon of texts": _set(*_OBJECT, "segmentation", [["a", "b", "c", "d", "e", "f"]]),
        "a category without name": _drop("categories", 0, "name"),
        "two categories of one id": _set("categories", 1, "id", 3),
        "another size than the image's": _set("images", 0, "width", 9),
    },
    "coco_panoptic": {
        "a segment without category": _set("annotations", 0, "segments_info", []),
        "a PNG that is missing": _set("annotations", 0, "file_name", "nosuch.png"),
        "segments that are no list": _set("annotations", 0, "segments_info", 5),
    },
    "labelme_json": {
        "shapes that are no list": _set("shapes", 5),
        "no shapes": _drop("shapes"),
        "a shape without label": _drop(*_SHAPE, "label"),
        "a label that is a number": _set(*_SHAPE, "label", 5),
        "a kind of shape that is unknown": _set(*_SHAPE, "shape_type", "spiral"),
        "a mask that is no PNG": _set(*_SHAPE, "mask", "aGVsbG8="),
        "a mask that is no base64": _set(*_SHAPE, "mask", "%%%"),
        "points of one number": _set(*_SHAPE, "points", [[1], [2]]),
        "points of NaN": _set(*_SHAPE, "points", [[float("nan"), 0], [3, 3]]),
        "a polygon of two points": _set(
            "shapes", 0, {"label": "cat", "shape_type": "polygon", "points": [[0, 0], [3, 3]]}
        ),
        "a circle of one point": _set("shapes", 0, {"label": "cat", "shape_type": "circle", "points": [[0, 0]]}),
    },
    "label_studio": {
        "an image that is missing": _set(0, "data", "image", "/data/upload/nosuch.jpg"),
        "an image of another data set": _set(0, "data", "image", "s3://bucket/nosuch.jpg"),
        "no data": _drop(0, "data"),
        "a brush without values": _drop(*_STUDIO, "value"),
        "run lengths that are cut off": _set(*_STUDIO, "value", "rle", [0, 0, 1]),
        "run lengths that claim 4 gigapixels": _set(*_STUDIO, "value", "rle", [255] * 12),
        "a size of 0": _set(*_STUDIO, "original_width", 0),
        "two labels of a brush": _set(*_STUDIO, "value", "brushlabels", ["cat", "void"]),
        "no label of a brush": _set(*_STUDIO, "value", "brushlabels", []),
    },
    "cvat_images": {
        "a document type with entities": _text(
            "<annotations>", '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><annotations>'
        ),
        "a tag that is not closed": _text("</meta>", ""),
        "a label that is not listed": _text('label="cat"', 'label="nosuch"'),
        "run lengths of letters": _text('rle="', 'rle="x, '),
        "run lengths that are negative": _text('rle="', 'rle="-4, '),
        "a box of letters": _text('left="0"', 'left="a"'),
        "an image without size": _text(' width="', ' wide="'),
        "a size of a terabyte": _text(' width="', ' width="1000000'),
        "an image that is missing": _text('name="a.jpg"', 'name="nosuch.jpg"'),
        "no labels": _text("<labels>", "<nolabels>"),
    },
    "supervisely": {
        "a class that is not listed": _set(*_FIGURE, "classTitle", "nosuch"),
        "a bitmap that is no base64": _set(*_FIGURE, "bitmap", "data", "%%%"),
        "a bitmap that is not packed": _set(*_FIGURE, "bitmap", "data", "aGVsbG8="),
        "a bitmap without origin": _drop(*_FIGURE, "bitmap", "origin"),
        "an origin outside of the image": _set(*_FIGURE, "bitmap", "origin", [90_000, 90_000]),
        "no size": _drop("size"),
    },
    "via": {
        "regions that are a number": _json(lambda content: next(iter(content.values())).update(regions=5)),
        "a region without shape": _json(
            lambda content: next(iter(content.values()))["regions"][0].pop("shape_attributes")
        ),
        "a rectangle of letters": _json(
            lambda content: next(iter(content.values()))["regions"][0]["shape_attributes"].update(width="a")
        ),
        "an image that is missing": _json(lambda content: next(iter(content.values())).update(filename="nosuch.jpg")),
    },
    "yolo": {
        "a class that is not listed": _line("9 0.1 0.1 0.5 0.1 0.5 0.5\n"),
        "a class that is a word": _line("cat 0.1 0.1 0.5 0.1 0.5 0.5\n"),
        "coordinates of letters": _line("0 0.1 a 0.5 0.1 0.5 0.5\n"),
        "coordinates in pixels": _line("0 10 10 50 10 50 50\n"),
        "coordinates of NaN": _line("0 nan 0.1 0.5 0.1 0.5 0.5\n"),
        "an odd number of coordinates": _line("0 0.1 0.1 0.5 0.1 0.5 0.5 0.5\n"),
        "two points": _line("0 0.1 0.1 0.5 0.1\n"),
        "a box instead of a polygon": _line("0 0.5 0.5 0.2 0.2\n"),
        "bytes that are no text": _line("0 \udc80".encode("utf-8", "surrogateescape").decode("latin-1")),
        "a YAML without names": _yaml("train: images/train\nval: images/val\n"),
        "a YAML that is cut off": _yaml("train: images/train\nnames: [cat,"),
        "a YAML of a list": _yaml("- train\n- val\n"),
        "a YAML that makes an object": _yaml("names: !!python/object/apply:os.getcwd []\ntrain: images/train\n"),
        "a folder that is missing": _yaml("train: images/nosuch\nval: images/val\nnames: [cat, dog, void]\n"),
        "names that are a number": _yaml("train: images/train\nval: images/val\nnames: 3\n"),
        "a class without name": _yaml("train: images/train\nval: images/val\nnames: {0: cat, 2: void}\n"),
        "a name that is there twice": _yaml("train: images/train\nval: images/val\nnames: [cat, cat, void]\n"),
    },
}
"""What is done to the files of each layout."""

UNKNOWN = {
    "supervisely": _set(*_FIGURE, "geometryType", "spiral"),
    "via": _json(lambda content: next(iter(content.values()))["regions"][0]["shape_attributes"].update(name="spiral")),
}
"""Shapes that are left out in words."""

EVERY = {
    "an empty file": _content(b""),
    "a web page": _content(HTML),
    "cut off": _cut,
    "a JSON null": _content("null"),
    "nested 100,000 deep": _content("[" * 100_000),
    "bytes that are no text": _content(b'{"a": "\xff\xfe"}'),
}
"""What is done to the files of every layout of JSON and XML."""


def cases() -> Iterator[Case]:
    """Yields each damage of each layout, by convert."""
    for layout, damages in DAMAGES.items():
        every = {} if layout == "yolo" else EVERY
        for what, change in {**every, **damages}.items():
            yield Case(f"{layout}: {what}", f"{CONVERT} --layout {layout}", _written(layout, change))
    for layout, change in UNKNOWN.items():
        make, said = _written(layout, change), "no areas and are not drawn; in 1 image: spiral (1)"
        yield Case(f"{layout}: a shape that is unknown", f"{CONVERT} --layout {layout}", make, (), said)
