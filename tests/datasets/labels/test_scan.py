"""Classes from the ids in masks alone: what is clear, at its bounds, and what is refused, to the word."""

import numpy as np
import pytest
from mask_forms import as_palette
from PIL import Image

from keras_fcn.datasets.labels.scan import scan_classes
from keras_fcn.datasets.labels.survey import Colors, all_masks, contents, remembered, sound_contents, stored_palettes
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.label_files.content import LabelContent

SHADES = (
    "which look like shades rather than class ids; write ROOT/labelmap.txt with a line such as cat:255,0,0:: for each "
    "colour, or classes.txt with the names of all ids from 0"
)
VOID_ONLY = (
    "and 255 means void, so nothing is left to learn; write ROOT/classes.txt with the names of all ids from 0 if other "
    "masks hold more"
)
GAPS = "and none between; write ROOT/classes.txt with a name for each after its id, as in"
SPARSE = ([0, 1, 2, 3, 32], [0, 7], [1, 4], [0, 2], [0, 2, 4, 6], [0, 2, 31])


def grey(path, *values, mode=np.uint8):
    Image.fromarray(np.array([values], mode)).save(path)
    return path


def scanned(tmp_path, *masks):
    """Returns the names of the classes in masks, each of some values, and how they are read."""
    paths = [grey(tmp_path / f"{index}.png", *values) for index, values in enumerate(masks)]
    classes, reading = scan_classes(paths, tmp_path)
    return classes.names, reading


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ([0, 1], 1),
        ([1], 1),
        ([0, 1, 2, 255], 2),
        ([1, 3], 3),  # half of them occur
        ([*range(1, 34, 2)], 33),
        ([*range(0, 254)], 253),
    ],
)
def test_ids_are_classes_up_to_the_last(tmp_path, values, last):
    names, reading = scanned(tmp_path, values[:1], values)
    assert names == ("background", *(f"class{index}" for index in range(1, last + 1)))
    assert reading == ""


def test_black_and_white_are_two_classes(tmp_path):
    assert scanned(tmp_path, [0, 255], [0]) == (("background", "class1"), "black_and_white")
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "0.png")
    assert scan_classes([tmp_path / "0.png"], tmp_path)[1] == ""  # 0 and 1
    assert scan_classes([tmp_path / "0.png", grey(tmp_path / "1.png", 255)], tmp_path)[1] == "black_and_white"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0], f"its masks hold only 0, {VOID_ONLY}"),
        ([255], f"its masks hold only 255, {VOID_ONLY}"),
        ([0, 254], f"its masks hold 2 values up to 254 (0, 254), {SHADES}"),
        ([*range(255)], f"its masks hold 255 values up to 254 (0, 1, 2, 3, 4, 5, 6, 7, 247 more), {SHADES}"),
        ([0, 31, 62, 93, 255], f"its masks hold 4 values up to 93 (0, 31, 62, 93, and 255 for void), {SHADES}"),
        ([0, 1, 2, 32], f"its masks hold 4 values up to 32 (0, 1, 2, 32), {SHADES}"),  # fewer than 1 in 8 of 33
        *((ids, f"its masks hold the ids {str(ids)[1:-1]} only, {GAPS} `{ids[-1]} road`") for ids in SPARSE),
    ],
)  # fmt: skip
def test_values_that_are_no_ids_are_refused(tmp_path, values, message):
    with pytest.raises(UserError) as caught:
        scanned(tmp_path, values, [values[0]])
    assert str(caught.value) == f"{tmp_path}: {message.replace('ROOT', str(tmp_path))}"


def test_divided_values_may_be_sparse(tmp_path):
    """Cityscapes' 7, 8 and 33 without those between: sparse, but of numbered objects."""
    paths = [grey(tmp_path / "0.png", 0, 33000, 33001, 33002, mode=np.uint16)]
    paths += [grey(tmp_path / f"{part}.png", part * 1000, part * 1000 + 1, mode=np.uint16) for part in range(7, 31)]
    classes, reading = scan_classes(paths, tmp_path)
    assert (classes.num_classes, reading) == (34, "by_1000")


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (3, "2 of its masks are in colour (1,2,0; 1,2,1; 1,2,2)"),
        (8, "2 of its masks are in colour (1,2,0; 1,2,1; 1,2,2; 1,2,3; 1,2,4; 1,2,5; 1,2,6; 1,2,7)"),
        (9, "2 of its masks are in colour (1,2,0; 1,2,1; 1,2,2; 1,2,3; 1,2,4; 1,2,5; 1,2,6; 1,2,7 and 1 more)"),
    ],
)
def test_the_most_frequent_colours_are_named(tmp_path, colors, message):
    row = np.array([(1, 2, blue) for blue in range(colors) for _ in range(20 - blue)], np.uint8)
    paths = [tmp_path / "a.png", tmp_path / "b.png", grey(tmp_path / "c.png", 0, 1)]
    for path in paths[:2]:
        Image.fromarray(row[::-1][None]).save(path)
    with pytest.raises(UserError) as caught:
        scan_classes(paths, tmp_path)
    fix = f"write {tmp_path}/labelmap.txt with a line such as cat:255,0,0:: for each"
    assert str(caught.value) == f"{tmp_path}: {message}, and no file says which class a colour is; {fix}"


def palette(path, ids, colors):
    as_palette(np.array([ids]), colors, range(len(colors))).save(path)
    return path


@pytest.mark.parametrize(
    ("colors", "ids", "is_moved"),
    [
        ([(0,) * 3, (2,) * 3], [0, 1], True),
        ([(1,) * 3, (0,) * 3], [0, 1], True),
        ([(0,) * 3, (31,) * 3, (255,) * 3], [0, 1, 2], True),
        ([(0,) * 3, (32,) * 3], [0, 1], False),  # a shade, which shows an index
        ([(0,) * 3, (255,) * 3], [0, 1], False),
        ([(0,) * 3, (2, 2, 3)], [0, 1], False),
        ([(0,) * 3, (1,) * 3], [0, 1], False),
    ],
)
def test_indices_or_their_greys(tmp_path, colors, ids, is_moved):
    path = palette(tmp_path / "0.png", ids, colors)
    if not is_moved:
        assert scan_classes([path], tmp_path)[0].num_classes == 2
        return
    with pytest.raises(UserError) as caught:
        scan_classes([path], tmp_path)
    index = next(index for index in ids if colors[index] != (index,) * 3)
    assert str(caught.value) == (
        f"{path}: palette index {index} is grey {colors[index][0]}, and either could be the id; export 8-bit grey, or "
        f"write {tmp_path}/classes.txt with the names of all ids from 0: greys are then ids"
    )


def test_two_palettes_are_told_apart(tmp_path):
    paths = [
        palette(tmp_path / "0.png", [0, 1], [(0,) * 3, (9, 8, 7)]),
        palette(tmp_path / "1.png", [0, 1], [(0,) * 3, (7, 8, 9)]),
    ]
    with pytest.raises(UserError) as caught:
        scan_classes(paths, tmp_path)
    assert str(caught.value) == (
        f"{paths[0]} and 1.png: palette index 1 is 9,8,7 in one and 7,8,9 in the other, so indices are no ids; "
        f"write {tmp_path}/labelmap.txt with a line such as cat:255,0,0:: for each colour"
    )


def test_masks_that_cannot_be_decoded_are_left_out_unless_all_are(tmp_path):
    bad = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in bad:
        path.write_bytes(b"")
    assert scan_classes([bad[0], grey(tmp_path / "c.png", 0, 1), bad[1]], tmp_path)[0].num_classes == 2
    with pytest.raises(DataError, match=r"a.png: cannot be decoded"):
        scan_classes(bad, tmp_path)


# What all masks hold


def test_contents_are_those_of_all_masks_in_order(tmp_path):
    paths = [grey(tmp_path / f"{number}.png", number, number, 7) for number in range(70)]
    paths[3].write_bytes(b"")
    found = list(contents(paths))
    assert [isinstance(each, DataError) for each in found] == [number == 3 for number in range(70)]
    expected = [{number: ((number,) * 3, 2), 7: ((7,) * 3, 1)} for number in range(70)]
    expected[7] = {7: ((7,) * 3, 3)}
    assert [each.values for each in found if isinstance(each, LabelContent)] == expected[:3] + expected[4:]
    assert [each.path for each in sound_contents(paths)] == paths[:3] + paths[4:]
    assert list(contents([])) == []
    taken = []
    found = contents(taken.append(path) or path for path in paths)
    counts = [next(found) and len(taken) for _ in range(4)]
    assert counts == [2, 2, 66, 66]  # no more than a question may need


def test_palettes_and_bits_are_those_of_the_headers(tmp_path):
    red, blue = [(0,) * 3, (255, 0, 0)], [(0,) * 3, (0, 0, 255), (1, 2, 3)]
    paths = [palette(tmp_path / f"{index}.png", [0, 1], colors) for index, colors in enumerate((red, blue, red))]
    paths += [grey(tmp_path / "3.png", 0, 1), tmp_path / "none.png"]
    palettes, is_wide = stored_palettes(paths)
    assert [each[: len(of)].tolist() for each, of in zip(palettes, (red, blue), strict=True)] == [
        [*map(list, red)], [*map(list, blue)],
    ]  # fmt: skip
    assert all(len(each) <= 256 for each in palettes)
    assert not is_wide
    wide = grey(tmp_path / "4.png", 0, 1, mode=np.uint16)
    assert [stored_palettes(each)[1] for each in ([wide], [wide, *paths], [*paths, wide], [])] == [
        True,
        True,
        True,
        False,
    ]


def test_colours_of_values(tmp_path):
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    first = LabelContent(a, {0: ((0, 0, 0), 5), 1: ((9, 9, 9), 1)})
    second = LabelContent(b, {1: ((9, 9, 9), 2), 2: ((2, 2, 2), 2)})
    third = LabelContent(c, {2: ((2, 2, 3), 2), 0: ((0, 0, 0), 1)})
    colors = Colors([first, second])
    assert (colors.values, colors.colors, colors.greys) == ({0, 1, 2}, {(0,) * 3, (9,) * 3, (2,) * 3}, {0, 9, 2})
    assert colors.clash() is None
    assert colors.of_value == {0: {(0,) * 3: a}, 1: {(9,) * 3: a}, 2: {(2,) * 3: b}}
    colors = Colors([first, second, third, LabelContent(a, {2: ((4, 4, 4), 1)})])
    assert colors.greys is None
    assert colors.clash() == (2, [((2, 2, 2), b), ((2, 2, 3), c)])
    assert Colors([]).greys == set()


def test_masks_of_other_splits_are_listed_unless_they_have_a_fault(tmp_path):
    def listed(folder):
        if folder.name == "bad":
            raise UserError("two masks of one image")
        return {name: folder / name for name in ("z", "b")}

    found = all_masks({"m": tmp_path / "m"}, listed, [tmp_path / "x", tmp_path / "bad", tmp_path / "a"])
    assert found == [tmp_path / name for name in ("a/b", "a/z", "m", "x/b", "x/z")]


def test_answers_are_remembered_while_the_files_stay(tmp_path):
    calls = []
    survey = remembered(lambda masks, *others: calls.append((masks, others)) or len(calls))
    paths = [grey(tmp_path / f"{number}.png", number) for number in range(2)]
    assert [survey(paths, "a"), survey(tuple(paths), "a"), survey(paths, "b"), survey(paths, "a")] == [1, 1, 2, 1]
    assert calls == [(tuple(paths), ("a",)), (tuple(paths), ("b",))]
    grey(paths[0], 0, 1)
    assert survey(paths, "a") == 3
    paths[1].unlink()
    assert [survey(paths, "a"), survey(paths, "a")] == [4, 4]
