"""What the values, greys and colours of masks become, and each fault of theirs, to the word."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images import masks
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import (
    encode_label,
    ids_of_values,
    read_color_label,
    read_grey_label,
    read_label,
    read_value_label,
    write_label,
)

CLASSES = ClassTable(("a", "b", "c"), ((0, 0, 0), (255, 0, 0), (255, 255, 255)), (9, 9, 9))
SAME = np.arange(256, dtype=np.uint8)
FIX = "fix the mask or the class list"
EXPORT = "export 8-bit grey, palette or opaque RGB"


def ids(**values):
    """Returns the ids of some values, 255 of 255, none of the others."""
    table = np.full(256, 254, np.uint8)
    table[255] = 255
    for value, index in values.items():
        table[int(value[1:])] = index
    return table


def saved(path, pixels, palette=None):
    image = Image.fromarray(np.array(pixels)) if isinstance(pixels, list) else Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(np.array(palette, np.uint8).tobytes())
    image.save(path)
    return path


def grey(*values, kind=np.uint8):
    return np.array([values], kind)


def fault(read, *arguments, **options):
    with pytest.raises(DataError) as caught:
        read(*arguments, **options)
    return str(caught.value), caught.value.kind


def test_ids_of_values():
    tall = np.tile(np.array([[0, 1, 2, 255]], np.uint8), (600, 1))
    for values in (tall, grey(0, 1), grey(255), grey(2, 2), np.zeros((0, 4), np.uint8)):
        assert ids_of_values(values, CLASSES, SAME) is values
    for row in (0, 255, 256, 511, 599):  # rows are looked at some at a time
        wrong = tall.copy()
        wrong[row, 1:3] = 3
        assert fault(ids_of_values, wrong, CLASSES, SAME) == (
            f"class id 3 (2 pixels) is out of range: ids here are 0 to 2, and 255 for void; {FIX}", "id out of range",
        )  # fmt: skip
    assert ids_of_values(grey(7, 8, 255), CLASSES, ids(v7=2, v8=0)).tolist() == [[2, 0, 255]]
    values = grey(1, 2)
    assert ids_of_values(values, CLASSES, ids(v0=9, v1=1, v2=2)) is values  # what none of them is, does not count
    assert ids_of_values(grey(0, 1, 2), CLASSES, ids(v0=0, v1=255, v2=1)).tolist() == [[0, 255, 1]]
    void = SAME.copy()
    void[255] = 1
    assert ids_of_values(grey(0, 255), CLASSES, void).tolist() == [[0, 1]]


def test_ids_are_returned_without_being_counted(monkeypatch):
    """Counting takes ten times as long."""
    monkeypatch.setattr(masks, "Image", None)
    values = grey(0, 1, 2, 255)
    assert ids_of_values(values, CLASSES, SAME) is values


def test_the_most_frequent_wrong_value_is_named():
    assert fault(ids_of_values, grey(0, 5, 4, 4, 254), CLASSES, SAME)[0] == (
        f"class id 4 (2 pixels) and 2 other ids is out of range: ids here are 0 to 2, and 255 for void; {FIX}"
    )
    assert fault(ids_of_values, grey(0, 5, 4, 4), CLASSES, ids(v0=0, v10=1)) == (
        f"value 4 (2 pixels) stands for no class; values here are 0, 10; {FIX}", "id out of range",
    )  # fmt: skip
    assert fault(ids_of_values, grey(5), CLASSES, ids(v0=2))[0].startswith("value 5 (1 pixels) stands for no class")
    assert fault(ids_of_values, grey(254), CLASSES, ids(v0=0))[0].startswith("class id 254 (1 pixels) is out of range")
    assert fault(ids_of_values, grey(7), CLASSES, ids(v0=0, v7=3))[0].startswith("class id 7 (1 pixels) is out")


def test_colours_palettes_and_greys_of_vocs_format(tmp_path):
    path = tmp_path / "mask.png"
    rgb = np.array([[(255, 0, 0), (9, 9, 9), (255, 255, 255), (0, 0, 0)]], np.uint8)
    assert read_label(saved(path, rgb), CLASSES).tolist() == [[1, 255, 2, 0]]
    assert read_label(saved(path, np.repeat(grey(0, 1, 2)[..., None], 3, 2)), CLASSES).tolist() == [[0, 1, 2]]
    wrong = np.array([[(0, 0, 0), (1, 1, 2), (1, 1, 1)]], np.uint8)
    assert fault(read_label, saved(path, wrong), CLASSES)[1] == "unknown colour"
    assert read_label(saved(path, grey(0, 2, 255)), CLASSES).tolist() == [[0, 2, 255]]
    assert read_label(saved(path, grey(1, 0).astype(bool)), CLASSES).tolist() == [[1, 0]]
    assert read_label(saved(path, grey(1, 255, kind=np.uint16)), CLASSES).tolist() == [[1, 255]]
    palette = [(255, 0, 0), (0, 0, 0), (7, 7, 7)]
    assert read_label(saved(path, grey(0, 1), palette), CLASSES).tolist() == [[1, 0]]
    own = [(0, 0, 0), (1, 1, 1), (2, 2, 2)]
    assert read_label(saved(path, grey(0, 1, 2), own), CLASSES).tolist() == [[0, 1, 2]]
    assert fault(read_color_label, saved(path, grey(0, 1, 2), own), CLASSES)[1] == "unknown colour"
    assert fault(read_label, saved(path, grey(0, 2), palette), CLASSES)[1] == "unknown colour"
    same = saved(path, grey(0, 1), CLASSES.colors)
    assert read_label(same, CLASSES).tolist() == read_color_label(same, CLASSES).tolist() == [[0, 1]]
    missing = saved(path, grey(0, 1), [(0, 0, 0)])  # what a palette has not is black
    assert read_color_label(missing, CLASSES).tolist() == [[0, 0]]


def test_grey_and_one_bit_by_colour_and_by_value(tmp_path):
    path = saved(tmp_path / "mask.png", grey(0, 1, 1).astype(bool))
    assert read_color_label(path, CLASSES).tolist() == [[0, 2, 2]]
    table = tuple(ids(v0=0, v1=1, v255=2).tolist())
    assert read_grey_label(path, CLASSES, table).tolist() == [[0, 1, 1]]
    assert read_grey_label(path, CLASSES, table, black_and_white=True).tolist() == [[0, 2, 2]]
    assert read_grey_label(path, CLASSES, table, True).dtype == np.uint8
    saved(path, grey(0, 1, 255))
    assert read_grey_label(path, CLASSES, table, black_and_white=True).tolist() == [[0, 1, 2]]
    assert read_color_label(saved(path, grey(0, 255, 9)), CLASSES).tolist() == [[0, 2, 255]]
    saved(path, grey(0, 1, 2), [(255, 255, 255), (1, 1, 1), (0, 0, 0)])
    assert read_grey_label(path, CLASSES, table).tolist() == [[2, 1, 0]]
    assert read_value_label(path, CLASSES, tuple(SAME)).tolist() == [[0, 1, 2]]
    saved(path, grey(0, 1), [(255, 255, 255), (1, 1, 1), (1, 2, 3)])  # a colour that no pixel has
    assert read_grey_label(path, CLASSES, table).tolist() == [[2, 1]]
    assert fault(read_grey_label, saved(path, grey(0, 1), [(0, 0, 0), (1, 1, 2)]), CLASSES, table) == (
        f"{path}: has a palette of colours, but greys are expected; export 8-bit grey", "colours",
    )  # fmt: skip


def test_values_above_255(tmp_path):
    path = saved(tmp_path / "mask.png", grey(0, 256, 300, kind=np.uint16))
    assert fault(read_value_label, path, CLASSES, tuple(SAME)) == (
        f"{path}: holds the value 300; class ids are 0 to 254, and 255 is void", "id out of range",
    )  # fmt: skip
    assert fault(read_color_label, path, CLASSES) == (f"{path}: has values above 255; {EXPORT}", "colours")
    assert fault(masks._ids_of_colors, Image.new("CMYK", (1, 1)), CLASSES)[0] == f"has pixels of mode CMYK; {EXPORT}"


def test_values_that_number_objects(tmp_path):
    path, table = tmp_path / "mask.png", tuple(SAME)

    def read(*values, divisor, kind=np.uint16):
        return read_value_label(saved(path, grey(*values, kind=kind)), CLASSES, table, divisor).tolist()

    assert read(0, 255, 256, 257, 767, divisor=256) == [[0, 255, 1, 1, 2]]
    assert read(0, 255, 2, 1001, 1999, 2000, divisor=1000) == [[0, 255, 2, 1, 1, 2]]
    assert read(0, 255, divisor=256, kind=np.uint8) == [[0, 255]]
    for values, wrong in ((grey(0, 256, 254, 1, kind=np.uint16), 254), (grey(0, 1), 1)):
        assert fault(read_value_label, saved(path, values), CLASSES, table, 256) == (
            f"{path}: holds the value {wrong}, but others class * 256 + number", "id out of range",
        )  # fmt: skip
    with pytest.raises(DataError, match=r"mask.png: class id 3 \(1 pixels\) is out of range"):
        read(0, 3999, divisor=1000)
    np.save(tmp_path / "mask.npy", grey(0, 300_000, kind=np.int32))
    with pytest.raises(DataError, match=r"mask.npy: holds the value 300; class ids"):
        read_value_label(tmp_path / "mask.npy", CLASSES, table, 1000)


def test_labels_are_written_as_their_bytes(tmp_path):
    write_label(tmp_path / "mask.png", grey(0, 1, 2, 255), CLASSES)
    data = encode_label(grey(0, 1, 2, 255), CLASSES)
    assert (tmp_path / "mask.png").read_bytes() == data
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        assert np.asarray(image).tolist() == [[0, 1, 2, 255]]
        assert np.asarray(image.convert("RGB")).tolist() == [[[0, 0, 0], [255, 0, 0], [255, 255, 255], [9, 9, 9]]]
