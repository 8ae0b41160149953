import numpy as np
import pytest

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import (
    VOID_LABEL,
    ClassTable,
    class_fractions,
    most_frequent,
    split_names,
    voc_palette,
)

# The colours as the ancestor's tutorial lists them, in the order of the classes.
PUBLISHED_COLORS = [
    (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128),
    (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128), (64, 128, 128),
    (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0), (0, 64, 128),
]  # fmt: skip
SHIRTS = ClassTable(("floor", "shirt", "shoe"), ((9, 9, 9), (255, 0, 1), (0, 0, 0)), void_color=(1, 2, 3))


def test_palette_starts_with_the_published_colors_and_ends_with_void():
    palette = voc_palette()
    assert [tuple(color) for color in palette[:21].tolist()] == PUBLISHED_COLORS
    assert palette[255].tolist() == [224, 224, 192]
    assert len({tuple(color) for color in palette.tolist()}) == 256


def test_voc_has_the_tutorials_classes():
    classes = ClassTable.voc()
    assert classes.num_classes == 21
    names = (
        "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
        "pottedplant sheep sofa train tvmonitor"
    )
    assert classes.names == tuple(names.split())


@pytest.mark.parametrize("classes", [ClassTable.voc(), SHIRTS, ClassTable.numbered(254)], ids=["voc", "own", "254"])
def test_every_one_of_the_2_to_the_24_colors_maps_to_its_id_or_to_an_error(classes):
    rgb = np.arange(1 << 24, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, 2::-1]  # 0xRRGGBB, without its highest byte
    known = classes.known(rgb)
    expected = {*classes.colors, classes.void_color}
    assert {tuple(color) for color in rgb[known].tolist()} == expected
    for index, color in [*enumerate(classes.colors), (VOID_LABEL, classes.void_color)]:
        ids = classes.to_ids(np.array([color], np.uint8))
        assert (ids.tolist(), ids.dtype) == ([index], np.uint8)


@pytest.mark.parametrize("classes", [ClassTable.voc(), SHIRTS, ClassTable.numbered(7)], ids=["voc", "own", "7"])
def test_to_rgb_is_the_exact_inverse_of_to_ids(classes):
    ids = np.array([*range(classes.num_classes), VOID_LABEL] * 6, np.uint8).reshape(3, -1)
    rgb = classes.to_rgb(ids)
    assert rgb.shape == (*ids.shape, 3)
    np.testing.assert_array_equal(classes.to_ids(rgb), ids)
    np.testing.assert_array_equal(classes.to_rgb(classes.to_ids(rgb)), rgb)


def test_unknown_color_is_named_with_its_pixels():
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[:3, :2] = (12, 200, 7)
    rgb[9, 9] = (1, 1, 1)
    with pytest.raises(UserError, match=r"colour \(12, 200, 7\) \(6 pixels\) and 1 other unknown colours \(7 pixels"):
        ClassTable.voc().to_ids(rgb)


@pytest.mark.parametrize("method", ["to_rgb", "require_known"])
def test_id_out_of_range_is_named_with_its_pixels(method):
    ids = np.zeros((4, 4), np.uint8)
    ids[0] = 21
    with pytest.raises(UserError, match=r"class id 21 \(4 pixels\) is out of range: ids here are 0 to 20"):
        getattr(ClassTable.voc(), method)(ids)


@pytest.mark.parametrize(
    ("names", "colors", "message"),
    [
        ((), (), "1 to 254 classes"),
        (("a", "b"), ((0, 0, 0),), "2 class names, but 1 colours"),
        (("a", "a"), ((0, 0, 0), (1, 1, 1)), "class name a occurs twice"),
        (("a", "b"), ((1, 1, 1), (1, 1, 1)), r"colour \(1, 1, 1\) occurs twice"),
        (("a", "b"), ((0, 0, 0), (224, 224, 192)), r"colour \(224, 224, 192\) occurs twice"),
    ],
)
def test_a_table_that_cannot_be_read_back_is_refused(names, colors, message):
    with pytest.raises(UserError, match=message):
        ClassTable(names, colors)


def test_the_background_is_told_by_its_name():
    assert ClassTable.named(["road", "_Background_", "background"]).background == 1
    assert ClassTable.named(["road", "backgrounds"]).background is None


def test_dict_round_trip():
    assert ClassTable.from_dict(SHIRTS.to_dict()) == SHIRTS


def test_class_fractions_leave_void_out_and_begin_with_the_largest():
    ids = np.array([[2, 2, 0, 255]], np.uint8)
    assert class_fractions(ids, SHIRTS) == [(2, 0.5), (0, 0.25)]


SIGNS = ClassTable(("road", "sign"), ((0, 0, 0), (200, 0, 0)), void_color=(0, 0, 200))


def steps(green, blue, count=9):
    """Colours that lead from the road's to the sign's, beside the line between them."""
    return [(200 * step // (count + 1), green, blue) for step in range(1, count + 1)]


@pytest.mark.parametrize(
    ("colors", "kind", "fix"),
    [
        ([(0, 0, 200), (200, 0, 16)], "unknown colour", "sign is (200, 0, 0): paint it in that colour"),
        ([(200, 0, 17)], "unknown colour", "give it a class, or fix the mask"),
        ([(16, 5, 200)], "unknown colour", "void is (0, 0, 200): paint it in that colour"),
        ([(2, 2, 2)], "unknown colour", "the grey 2 may be an id: export all masks in the classes' colours"),
        ([(3, 3, 3)], "unknown colour", "road is (0, 0, 0)"),
        ([(1, 2, 2)], "unknown colour", "road is (0, 0, 0)"),
        (steps(3, 0), "anti-aliased mask", "they mix two classes' colours: export the mask without anti-aliasing"),
        ([(20 * step, 0, 200 - 20 * step) for step in range(1, 10)], "anti-aliased mask", "they mix two classes'"),
        (steps(4, 0), "unknown colour", "give it a class"),
        ([(red, 0, 0) for red in range(206, 251, 5)], "compressed mask", "they lie around"),  # beyond the sign's
        (steps(3, 0, 8), "unknown colour", "give it a class"),  # eight colours may be meant
        ([*steps(3, 0, 19), (90, 90, 90)], "unknown colour", "road is"),
        ([*steps(3, 0, 20), (90, 90, 90)], "anti-aliased mask", "they mix"),
        (
            [(64, green, 0) for green in range(40, 49)],
            "compressed mask",
            "they lie around the classes' colours, as after JPEG compression: export it as a PNG",
        ),
        ([(64, green, 0) for green in range(40, 48)], "unknown colour", "give it a class"),
        ([(65, green, 0) for green in range(40, 49)], "unknown colour", "give it a class"),
        ([(64, green, 0) for green in (*range(40, 48), 90, 91)], "unknown colour", "give it a class"),
        ([(64, green, 0) for green in (*range(40, 49), 90)], "compressed mask", "they lie around the classes' colours"),
    ],
)
def test_the_likely_cause_of_unknown_colours(colors, kind, fix):
    """Sixteen are near, three beside a mixture, 64 around a colour; 95% or 80% of more than eight colours."""
    with pytest.raises(DataError) as caught:
        SIGNS.to_ids(np.array([colors], np.uint8))
    assert caught.value.kind == kind
    assert f" belongs to no class; {fix}" in str(caught.value)


def test_swapped_channels_are_told_by_the_most_frequent_colour():
    with pytest.raises(
        DataError, match=r"colour \(1, 0, 255\) \(2 pixels\) and 1 other .*\(3 pixels in all\)"
    ) as caught:
        SHIRTS.to_ids(np.array([[(7, 0, 0), (1, 0, 255), (1, 0, 255)]], np.uint8))
    assert caught.value.kind == "swapped channels"
    assert str(caught.value).endswith("with red and blue swapped it does, as after OpenCV's imwrite: swap them back")


def test_wrong_ids_are_counted():
    with pytest.raises(DataError, match=r"class id 9 \(2 pixels\) and 1 other id is out of range") as caught:
        SHIRTS.require_known(np.array([3, 9, 9, 0, 255], np.uint8))
    assert caught.value.kind == "id out of range"
    assert most_frequent(np.array([5, 3, 3, 7, 7, 7])) == (7, 3, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a"]),
        ("a, b", ["a", "b"]),
        ("car, black, road", ["car, black", "road"]),
        ("road, car, black", ["road", "car, black"]),
        ("car, black, old,road", ["car, black, old", "road"]),  # the longest name
        ("car, green, road", ["car", "green", "road"]),
        ("", [""]),
    ],
)
def test_names_with_a_separator_inside(text, expected):
    assert split_names(text, ",", ("car, black", "car, black, old", "road")) == expected
