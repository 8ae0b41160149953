import numpy as np
import pytest

from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOC_CLASS_NAMES, VOID_LABEL, ClassTable, class_fractions, voc_palette

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
    assert classes.names == VOC_CLASS_NAMES
    assert (classes.names[0], classes.names[8], classes.names[20]) == ("background", "cat", "tvmonitor")


@pytest.mark.parametrize("classes", [ClassTable.voc(), SHIRTS, ClassTable.numbered(254)], ids=["voc", "own", "254"])
def test_every_one_of_the_2_to_the_24_colors_maps_to_its_id_or_to_an_error(classes):
    packed = np.arange(1 << 24)
    rgb = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)
    known = classes.known(rgb)
    expected = {*classes.colors, classes.void_color}
    assert {tuple(color) for color in rgb[known].tolist()} == expected
    for index, color in [*enumerate(classes.colors), (VOID_LABEL, classes.void_color)]:
        assert classes.to_ids(np.array([color], np.uint8)).tolist() == [index]


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


def test_dict_round_trip():
    assert ClassTable.from_dict(SHIRTS.to_dict()) == SHIRTS


def test_class_fractions_leave_void_out_and_begin_with_the_largest():
    ids = np.array([[2, 2, 0, 255]], np.uint8)
    assert class_fractions(ids, SHIRTS) == [(2, 0.5), (0, 0.25)]
