import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from keras_fcn.drawing.panels import (
    draw_check,
    draw_predictions,
    draw_worst,
    error_map,
    side_by_side,
)
from keras_fcn.images.classes import ClassTable

VOC = ClassTable.voc()
IMAGE = np.full((40, 60, 3), 100, np.uint8)
CAT = np.zeros((40, 60), np.uint8)
CAT[10:30, 20:40] = 8


def test_side_by_side_is_image_prediction_ground_truth():
    picture = side_by_side(IMAGE, CAT, np.full_like(CAT, 255), VOC)
    assert picture.shape == (40, 180, 3)
    assert picture[20, 30].tolist() == [100, 100, 100]
    assert picture[20, 90].tolist() == [64, 0, 0]
    assert picture[20, 150].tolist() == [224, 224, 192]


def test_side_by_side_is_small_for_large_images():
    """Of 3000 x 4000 pixels, every eighth in each direction."""
    large, ids = np.full((3000, 4000, 3), 7, np.uint8), np.zeros((3000, 4000), np.uint8)
    assert side_by_side(large, ids, ids, VOC).shape == (375, 3 * 500, 3)
    assert side_by_side(large[:512, :500], ids[:512, :500], ids[:512, :500], VOC).shape == (512, 1500, 3)


def colors_in(path):
    with Image.open(path) as picture:
        return {color for _, color in picture.convert("RGB").getcolors(1 << 24)}


def test_panels_show_image_prediction_and_ground_truth(tmp_path):
    label = np.where(CAT == 8, 255, CAT)
    draw_predictions(tmp_path / "predictions.png", [(IMAGE, CAT, label)] * 2, VOC)
    assert {(64, 0, 0), (224, 224, 192), (100, 100, 100)} <= colors_in(tmp_path / "predictions.png")


@pytest.fixture
def figures(monkeypatch):
    """Returns the list of saved figures."""
    kept = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kw: (kept.append(figure), save(figure, *args, **kw)))
    return kept


def test_the_worst_are_drawn_with_their_names_and_errors(tmp_path, figures):
    dog = np.where(CAT == 8, 12, 0).astype(np.uint8)
    void = np.full_like(CAT, 255)
    samples = [(IMAGE, CAT, dog), (IMAGE, np.zeros_like(CAT), CAT), (IMAGE, CAT, void)]
    names = [("$a^$", 0.125), ("kitchen/" + 40 * "x", 0.25), ("nothing", None)]
    draw_worst(tmp_path / "worst.png", samples, names, VOC)
    titles = [axes.get_title().split("\n") for axes in figures[0].axes]
    assert titles[0] == ["$a^$", "mean IoU 12.5"]
    assert titles[1] == ["prediction", "cat 17%"]  # 400 of 2,400 pixels
    assert titles[2] == ["ground truth", "dog 17%"]
    assert titles[3] == ["errors", "17% of the valid pixels"]
    assert titles[4][0] == "…" + 31 * "x"
    assert titles[5] == ["prediction", "background only"]
    assert (titles[8][1], titles[11][1]) == ("mean IoU -", "no valid pixel")
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == [
        "background", "cat", "dog", "void (ignored)", "error: another class",
        "error: an object taken for background", "error: background taken for an object",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [2, 14, 60])
def test_a_legend_stays_within_the_picture(tmp_path, figures, count):
    """Also that of the errors, whose names are long; 14 classes with them were cut off on both sides."""
    ids = (np.arange(IMAGE.shape[0] * IMAGE.shape[1]) % count).astype(np.uint8).reshape(IMAGE.shape[:2])
    classes = ClassTable.named(tuple(f"class of objects {number}" for number in range(count)))
    draw_worst(tmp_path / "worst.png", [(IMAGE, ids, ids[::-1])], [("a", 0.1)], classes)
    draw_predictions(tmp_path / "predictions.png", [(IMAGE, ids, ids[::-1])], classes)
    for figure in figures:
        width, height = figure.canvas.get_width_height()
        for text in figure.legends[0].get_texts():
            box = text.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= width
            assert 0 <= box.y0 < box.y1 <= height


def test_large_images_of_any_shape_are_drawn_small(tmp_path, figures):
    for height, width in ((1, 5000), (5000, 1), (1999, 1601)):
        ids = np.zeros((height, width), np.uint8)
        ids[::2] = 8
        draw_worst(tmp_path / "worst.png", [(np.zeros((height, width, 3), np.uint8), ids, ids)], [("a", 1.0)], VOC)
        shapes = {axes.get_images()[0].get_array().shape for axes in figures[-1].axes}
        assert len(shapes) == 1, shapes
        assert max(*shapes) < 1600
        assert max(figures[-1].get_size_inches()) < 20


def test_errors_are_coloured_by_kind():
    """One row, worked by hand: right, another class, missed, false alarm, void, right."""
    image = np.array([[[0, 0, 0], *[[9, 9, 9]] * 4, [255, 255, 255]]], np.uint8)
    label = np.array([[8, 8, 8, 0, 255, 0]], np.uint8)
    prediction = np.array([[8, 12, 0, 8, 8, 0]], np.uint8)
    right, other, missed, alarm, void, bright = error_map(image, prediction, label, VOC)[0].tolist()
    assert right[0] == right[1] == right[2] < bright[0] == bright[1] == bright[2]
    assert (other, missed, alarm) == ([213, 94, 0], [250, 200, 0], [0, 114, 178])
    assert void == [224, 224, 192]
    objects = error_map(image, prediction, label, ClassTable.named([f"object {index}" for index in range(21)]))
    assert objects[0, 1:4].tolist() == [other] * 3  # without a background all errors are of one kind


NAMES = ("_background_", "$x^$", "猫 🐈", "été")
IDS = (np.arange(2400) % 4).astype(np.uint8).reshape(40, 60)


def test_panels_name_classes_of_whatever_name(tmp_path, figures):
    """`_background_` is labelme's, and Matplotlib would leave it out; no name makes it warn or fail."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_predictions(tmp_path / "predictions.png", [(IMAGE, IDS, IDS)], ClassTable.named(NAMES))
        draw_worst(tmp_path / "worst.png", [(IMAGE, IDS, IDS)], [("$x^$", 1.0)], ClassTable.named(NAMES))
    for figure in figures:
        assert tuple(text.get_text() for text in figure.legends[0].get_texts())[:4] == NAMES


def test_a_check_names_classes_of_whatever_name(tmp_path, figures):
    summaries = {"train": {"pixels": dict.fromkeys(NAMES, 7), "images": dict.fromkeys(NAMES, 1)}}
    draw_check(tmp_path / "check.png", [("$x^$.jpg", IMAGE, IDS)], summaries, ClassTable.named(NAMES))
    assert tuple(text.get_text() for text in figures[0].axes[-1].get_yticklabels()) == NAMES
