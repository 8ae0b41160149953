"""What the drawings of shapes refuse: the kind, by which faults are counted, the whole message, and its bounds."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
from keras_fcn.datasets.layouts.annotations.raster.cvat import draw_cvat
from keras_fcn.datasets.layouts.annotations.raster.label_studio import brush, draw_label_studio
from keras_fcn.datasets.layouts.annotations.raster.labelme import draw_labelme
from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.datasets.layouts.annotations.raster.supervisely import draw_supervisely
from keras_fcn.datasets.layouts.annotations.raster.via import draw_via
from keras_fcn.errors import DataError

SIZE = (4, 5)
BOX = {"left": "1", "top": "1", "width": "2", "height": "2", "rle": "1,3"}
FIVE = [[1, 1]] * 5
AGAIN, FIX, POSITIVE = "export it again", "fix or remove it", "but takes positive ones; remove it"
PAIRS = "must be pairs of numbers. Received:"


def refused(draw, *shape):
    with pytest.raises(DataError) as caught:
        draw([(1, *shape)], SIZE)
    return caught.value.kind, str(caught.value)


def coco(counts, size=(4, 5)):
    return {"size": list(size), "counts": counts}


def stencil(mode):
    """A PNG of one pixel, as labelme keeps masks."""
    png = io.BytesIO()
    Image.new(mode, (1, 1)).save(png, "PNG")
    return base64.b64encode(png.getvalue()).decode()


def labelme(kind, points, mask=None):
    return kind, points, mask, (5, 0)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (None, "no segmentation", "has no outline and no run lengths, but None; boxes alone are no masks: outline the "
         "object, or remove it"),
        ([[1, 1, 2, 2]], "polygon", "a polygon has 2 points, but needs three points, x and y of each; " + FIX),
        ([[1] * 7], "polygon", "a polygon has 7 numbers, but needs three points, x and y of each; fix or remove it"),
        ([[1] * 6, "x" * 39], "polygon", "a polygon must be a list of numbers x, y, ... Received: '"
         + 36 * "x" + "..."),
        (coco([20], (5, 4)), "run lengths", "run lengths are of the size [5, 4], but the image is [4, 5] "
         "(height, width); export them again"),
        (coco([21]), "run lengths", "run lengths sum to 21 pixels, but the image has 20; export them again"),
        (coco([19]), "run lengths", "run lengths sum to 19 pixels, but the image has 20; export them again"),
        (coco([]), "run lengths", "run lengths must be numbers from 0, or COCO's text. Received: []"),
        (coco([True, 19]), "run lengths", "run lengths must be numbers from 0, or COCO's text. Received: [True, 19]"),
        (coco("P"), "run lengths", "run lengths must be numbers from 0, or COCO's text. Received: 'P'"),
    ],
)  # fmt: skip
def test_coco(shape, kind, message):
    assert refused(draw_coco, shape) == (kind, message)


@pytest.mark.parametrize(
    ("shape", "attributes", "kind", "message"),
    [
        ("polygon", {"points": "1,1;2"}, "shape", "a polygon needs points x,y;x,y;... Received: '1,1;2'"),
        ("polygon", {}, "shape", "a polygon needs points x,y;x,y;... Received: ''"),
        ("polygon", {"points": "1,1;2,a"}, "shape", "the coordinates of a polygon must be numbers. Received: "
         "['1', '1', '2', 'a']"),
        ("box", {"xtl": "1"}, "shape", "the coordinates of a box must be numbers. Received: ['1', '', '', '', '0']"),
        ("ellipse", {"cx": "2"}, "shape", "the coordinates of a ellipse must be numbers. Received: "
         "['2', '', '', '', '0']"),
        ("ellipse", {"cx": "2", "cy": "2", "rx": "-1", "ry": "2"}, "shape", "an ellipse has the radii -1 and 2, "
         + POSITIVE),
        ("mask", BOX | {"rle": "1,a"}, "run lengths", "a mask needs left, top, width, height and rle. Received: "
         "{'left': '1', 'top': '1', 'width': '2', 'height': '2', 'rle': '1,a'}"),
        ("mask", {}, "run lengths", "a mask needs left, top, width, height and rle. Received: "
         "{'left': '', 'top': '', 'width': '', 'height': '', 'rle': ''}"),
        ("mask", BOX | {"left": "4"}, "run lengths", "a mask of 2x2 pixels at 4, 1 leaves the image of 5x4; " + AGAIN),
        ("mask", BOX | {"top": "-1"}, "run lengths", "a mask of 2x2 pixels at 1, -1 leaves the image of 5x4; " + AGAIN),
        ("mask", BOX | {"height": "0"}, "run lengths", "a mask of 2x0 pixels at 1, 1 leaves the image of 5x4; "
         + AGAIN),
        ("mask", BOX | {"rle": "1,2"}, "run lengths", "run lengths sum to 3 pixels, but the mask has 4; " + AGAIN),
        ("mask", BOX | {"rle": "5,-1"}, "run lengths", "run lengths sum to 4 pixels, but the mask has 4; " + AGAIN),
    ],
)  # fmt: skip
def test_cvat(shape, attributes, kind, message):
    assert refused(draw_cvat, shape, attributes) == (kind, message)


def test_masks_of_cvat_may_touch_the_image_and_ellipses_be_points():
    point = dict.fromkeys(("cx", "cy", "rx", "ry"), "0")
    ids = draw_cvat(
        [
            (1, "mask", BOX | {"left": "3", "top": "2", "rle": "1,3"}),
            (2, "ellipse", point),
        ],
        SIZE,
    )
    assert ids.tolist() == [[2, 0, 0, 0, 0], [0] * 5, [0, 0, 0, 0, 1], [0, 0, 0, 1, 1]]


CIRCLE = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10}


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ({"points": [[1, 1], [2]]}, "shape", "the points of a polygon must be pairs of percents. Received: "
         "[[1, 1], [2]]"),
        (CIRCLE | {"radiusY": 0}, "shape", f"an ellipse has the radii 0.5 and 0, {POSITIVE}"),
        (CIRCLE | {"radiusX": -20}, "shape", f"an ellipse has the radii -1 and 0.4, {POSITIVE}"),
        ({"points": [[1, 1], ["a", 1], [2, 2]]}, "shape", "the coordinates of a polygon must be numbers. "
         "Received: 'a'"),
        ({"points": [[1, 1], [2, 2], [3, 10_001]]}, "shape", "a polygon has the coordinate 10001, far outside the "
         "image of 100x100; fix it"),
        ({"x": 1, "y": 1, "width": "a"}, "shape", "the coordinates of a rectangle must be numbers. Received: 'a'"),
        (CIRCLE | {"x": None}, "shape", "the coordinates of a ellipse must be numbers. Received: 'None'"),
        ({"rle": [256]}, "run lengths", "a brush must be a list of bytes. Received: [256]"),
        ({"rle": [0, 0, 0, 80, 50, 0, 0]}, "run lengths", "a brush has 80 values of 7 bits, but the image "
         "takes 80 of 8"),
        ({"rle": [0, 0, 0, 81, 58, 0, 0]}, "run lengths", "a brush has 81 values of 8 bits, but the image "
         "takes 80 of 8"),
        ({"rle": [0, 0, 0, 80, 56, 0, 0]}, "run lengths", "the runs of a brush end before the image does; " + AGAIN),
    ],
)  # fmt: skip
def test_label_studio(shape, kind, message):
    assert refused(draw_label_studio, shape) == (kind, message)


def written(*runs):
    """A brush over 1 x 2 pixels, 8 values of RGBA, by lengths of 2, 3, 4 and 5 bits."""
    bits = f"{8:032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in (2, 3, 4, 5)) + "".join(runs)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def values(*numbers):
    return "".join(f"{number:08b}" for number in numbers)


def test_runs_of_label_studio_repeat_a_value_or_list_them():
    several = "0" + "01" + f"{6:03b}" + values(9, 9, 9, 1, 9, 9, 9)
    assert brush(written(several, "1" + "00" + f"{0:02b}" + values(0)), (1, 2)).tolist() == [[True, False]]
    one = "1" + "11" + f"{2:05b}" + values(9)  # three of them
    assert brush(written(one, "0" + "10" + f"{4:04b}" + values(0, 9, 9, 9, 255)), (1, 2)).tolist() == [[False, True]]
    with pytest.raises(DataError, match=r"^the runs of a brush are longer than the image, by 1 values$") as caught:
        brush(written(several, "1" + "00" + f"{1:02b}" + values(0)), (1, 2))
    assert caught.value.kind == "run lengths"


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (labelme("star", FIVE), "shape", "has a shape of the type 'star'; there are polygon, rectangle, circle, line, "
         "linestrip, point, oriented_rectangle, mask"),
        (labelme(None, [[1, 2], [3]]), "shape", f"the points of a polygon {PAIRS} [[1, 2], [3]]"),
        (labelme(None, FIVE[:2]), "shape", "has a polygon of 2 points, but it takes 3 at least; fix or remove it"),
        (labelme("circle", FIVE[:3]), "shape", "has a circle of 3 points, but it takes 2; fix or remove it"),
        (labelme("mask", FIVE[:2], stencil("RGB")), "shape", "has a mask of 3 dimensions, in colour; a mask must "
         "be grey"),
        (labelme("mask", [[0, 0], [0, 1]], stencil("L")), "shape", "has a mask of 1x1 pixels in a box of 2x1 (height x "
         "width); fix it"),
        (labelme("mask", [[0, 0], [1, 0]], stencil("L")), "shape", "has a mask of 1x1 pixels in a box of 1x2 (height x "
         "width); fix it"),
        (labelme("point", FIVE[:2]), "shape", "has a point of 2 points, but it takes 1; fix or remove it"),
        (labelme("linestrip", FIVE[:1]), "shape", "has a linestrip of 1 points, but it takes 2 at least; " + FIX),
        (labelme("line", FIVE[:1]), "shape", "has a line of 1 points, but it takes 2; fix or remove it"),
        (labelme("line", FIVE[:3]), "shape", "has a line of 3 points, but it takes 2; fix or remove it"),
        (labelme("rectangle", FIVE[:3]), "shape", "has a rectangle of 3 points, but it takes 2; fix or remove it"),
        (labelme("oriented_rectangle", FIVE[:3]), "shape", "has a oriented_rectangle of 3 points, but it takes 4; "
         + FIX),
    ],
)  # fmt: skip
def test_labelme(shape, kind, message):
    assert refused(draw_labelme, *shape) == (kind, message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"name": "rect", "x": 1, "y": 1, "width": -1, "height": 2}, "a rect has a side or radius of -1, "
         + POSITIVE),
        ({"name": "circle", "cx": 1, "cy": 1}, "the coordinates of a circle must be numbers. Received: 'None'"),
        ({"name": "polygon", "all_points_x": [1, 2]}, "a polygon needs as many all_points_x as all_points_y. Received: "
         "[1, 2] and None"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, "a polygon needs as many all_points_x as "
         "all_points_y. Received: [1, 2] and [1]"),
    ],
)  # fmt: skip
def test_via(shape, message):
    assert refused(draw_via, shape) == ("shape", message)
    draw_via([(1, {"name": "circle", "cx": 1, "cy": 1, "r": 0})], SIZE)  # a click


@pytest.mark.parametrize(
    ("shape", "figure", "kind", "message"),
    [
        ("polygon", {"points": 3}, "shape", "a polygon needs an exterior and an interior. Received: 3"),
        ("polygon", {"points": {"exterior": FIVE, "interior": 3}}, "shape", "a polygon needs an exterior and an "
         "interior. Received: {'exterior': [[1, 1], [1, 1], [1, 1], [1, 1], [1, 1]], 'inte"),
        ("polygon", {"points": {"exterior": FIVE[:2]}}, "polygon", "a polygon has 2 points, but needs 3; " + FIX),
        ("multipolygon", {"parts": []}, "shape", "a multipolygon has no parts, but []; draw it again"),
        ("rectangle", {"points": FIVE[:1]}, "polygon", "a rectangle has 1 points, but needs 2; fix or remove it"),
        ("rectangle", {"points": FIVE[:3]}, "shape", "a rectangle has 3 points, but takes 2; fix or remove it"),
        ("rectangle", {"points": [1, 2]}, "shape", f"the points of a rectangle {PAIRS} [1, 2]"),
        ("bitmap", {}, "shape", "the points of a bitmap must be pairs of numbers. Received: [None]"),
    ],
)  # fmt: skip
def test_supervisely(shape, figure, kind, message):
    assert refused(draw_supervisely, shape, figure) == (kind, message)


@pytest.mark.parametrize(("size", "far"), [((4, 5), 10_000), ((2000, 5), 20_000), ((5, 2000), 20_000)])
def test_coordinates_may_lie_ten_images_outside(size, far):
    require_numbers("box", [far, -far, 0.5], size)
    for value in (far + 1, -far - 1, float("inf"), float("nan")):
        with pytest.raises(DataError) as caught:
            require_numbers("box", [0, value], size)
        assert caught.value.kind == "shape"
        image = f"{size[0]}x{size[1]}"
        assert str(caught.value) == f"a box has the coordinate {value}, far outside the image of {image}; fix it"
    for value in ("1", None, True, np.float32(1)):
        with pytest.raises(DataError, match=r"^the coordinates of a box must be numbers. Received: '") as caught:
            require_numbers("box", [value], size)
        assert caught.value.kind == "shape"
