"""The best model is the best by what was asked for, and chance does not decide."""

import numpy as np
import pytest

from keras_fcn.errors import UserError
from keras_fcn.evaluation.metrics import SegmentationMetrics
from keras_fcn.evaluation.watch import Watch, build_watch
from keras_fcn.runs.config import TrainConfig

NAMES = ("background", "cow", "horse, dapple", "boat")
MATRIX = np.array([[900, 50, 0, 50], [20, 80, 0, 0], [10, 0, 0, 0], [0, 0, 0, 0]])
"""IoU: 900/1030, 80/150, 0/10, 0/50."""

METRICS = SegmentationMetrics.from_confusion_matrix(MATRIX)


@pytest.mark.parametrize(
    ("text", "value", "what"),
    [
        ("mean_iou", np.mean([900 / 1030, 80 / 150, 0, 0]), "mean IoU"),
        ("pixel_accuracy", 980 / 1110, "pixel accuracy"),
        ("iou:cow", 80 / 150, "IoU of cow"),
        ("iou:horse, dapple", 0, "IoU of horse, dapple"),
        ("mean_iou:cow,horse, dapple", 80 / 150 / 2, "mean IoU of cow, horse, dapple"),
        ("mean_iou:background , cow", np.mean([900 / 1030, 80 / 150]), "mean IoU of background, cow"),
    ],
)
def test_what_is_watched(text, value, what):
    watch = build_watch(text, NAMES, np.array([20, 20, 1, 0]), MATRIX.sum(axis=1), 20)
    assert watch.value(METRICS) == pytest.approx(value)
    assert watch.what == what


def test_classes_of_few_images_or_pixels_do_not_decide():
    images, pixels = np.array([145, 10, 9, 145]), np.array([9**9, 1000, 9**9, 999])
    watch = build_watch("auto", NAMES, images, pixels, 145)
    assert (watch.classes, watch.what) == ((0, 1), "mean IoU of 2 of 4 classes")
    assert watch.why == (
        "the other 2 are in fewer than 10 images or 1,000 pixels of val and would decide by chance (horse, dapple, "
        "boat); --watch mean_iou counts all"
    )
    assert watch.value(METRICS) == pytest.approx(np.mean([900 / 1030, 80 / 150]))
    assert build_watch("auto", NAMES, images, np.full(4, 1000), 145).why.startswith("the other 1 is in fewer than 10")


def test_few_images_are_counted_by_their_part_and_one_class_never_decides_alone():
    pixels = np.full(4, 5000)
    assert build_watch("auto", NAMES, np.array([20, 2, 1, 0]), pixels, 20).classes == (0, 1)
    assert build_watch("auto", NAMES, np.array([3, 1, 1, 0]), pixels, 3).classes == (0, 1, 2)
    assert build_watch("auto", NAMES, np.array([9, 9, 9, 9]), pixels, 9) == Watch()
    assert build_watch("auto", NAMES, np.array([200, 9, 8, 0]), pixels, 200) == Watch()
    assert build_watch("auto", NAMES) == Watch()


def test_nothing_valid_is_zero():
    nothing = SegmentationMetrics.from_confusion_matrix(np.zeros((4, 4), int))
    assert [watch.value(nothing) for watch in (Watch(), Watch(is_accuracy=True), Watch(classes=(1, 2)))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iou:cwo", r"watch='iou:cwo': there is no class cwo \(did you mean cow\?\); there are background, cow, "),
        ("mean_iou:cow,sheep", "there is no class sheep; there are"),
        ("mean_iou:cow,cow", "watch='mean_iou:cow,cow': names a class twice; name each once"),
        ("iou:boat", "watch='iou:boat': no pixel of val is of boat, so there is nothing to watch; watch another class"),
        ("mean_iou:cow,boat", "no pixel of val is of boat, so there is nothing to watch"),
    ],
)
def test_what_cannot_be_watched_is_one_line(text, message):
    with pytest.raises(UserError, match=message):
        build_watch(text, NAMES, np.array([20, 20, 1, 0]), MATRIX.sum(axis=1), 20)


@pytest.mark.parametrize("text", ["loss", "iou", "iou:", "mean_iou: ", ""])
def test_another_form_is_refused(text):
    with pytest.raises(UserError, match="watch takes auto, mean_iou, pixel_accuracy, iou:NAME or mean_iou:NAME,NAME"):
        TrainConfig(watch=text)
