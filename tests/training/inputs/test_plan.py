"""Plans for data of many kinds, given by their figures: the options as train.py's own parser reads them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_fcn.commands.train import parse_train_options
from keras_fcn.datasets import Pairs, inspect_pairs, open_pairs
from keras_fcn.datasets.inspection import Inspection
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label
from keras_fcn.network.cost.complexity import summarize
from keras_fcn.network.fcn import build_fcn
from keras_fcn.runs.config_files import read_config
from keras_fcn.training.inputs.cost import macs
from keras_fcn.training.inputs.plan import Planner

RATE = 20e9
BACKBONE = ("mobilenet_v2", "for the test")


def plan(size, count, classes, rate=RATE, validation=50):
    """Plans for images of one size.

    Args:
        size: Height and width.
        count: Number of images.
        classes: By name the fraction of the pixels, of the images, and the width of a class; the first one fills up.
        rate: As for `Planner`.
        validation: Number of validation images.
    """
    pairs = Pairs("drawn", "train", (Path("image.png"),) * count, (), ClassTable.named(list(classes)), None)
    pixels, runs = np.zeros((count, 256), np.int64), np.zeros(256, np.int64)
    for index, (fraction, shown, width) in enumerate(classes.values()):
        in_each = round(fraction * size[0] * size[1] / shown)
        pixels[: round(shown * count), index] = in_each
        runs[index] = pixels[:, index].sum() / width
    pixels[:, 0] = size[0] * size[1] - pixels[:, 1:].sum(axis=1)
    inspection = Inspection(np.ones(count, bool), np.full((count, 2), size), pixels, (), runs=runs)
    return Planner(["--data", "x"], pairs, inspection, validation, rate, BACKBONE).plan()


VOC = {"background": (0.7, 1, 140)} | {f"animal{index}": (0.04, 0.2, 55 + 10 * index) for index in range(7)}
VOC |= {"bird": (0.0004, 0.002, 4.3)}  # odd ones out decide nothing
STREET = {
    "road": (0.3, 1, 150), "building": (0.25, 1, 60), "sky": (0.16, 1, 100), "tree": (0.1, 1, 20),
    "car": (0.06, 0.9, 30), "pavement": (0.06, 1, 60), "fence": (0.02, 0.5, 20), "pole": (0.01, 1, 3.5),
    "sign": (0.002, 0.6, 8), "pedestrian": (0.006, 0.8, 9), "bicyclist": (0.005, 0.3, 20),
}  # fmt: skip
CRACK = {"background": (0.999, 1, 900), "crack": (0.001, 1, 3.6)}
TOY = {"background": (0.8, 1, 50)} | {f"thing{index}": (0.02, 0.3, 16) for index in range(9)}
CELLS = {"background": (0.7, 1, 80), "cell": (0.3, 1, 35)}

KINDS = {
    "toy": (
        ((112, 138), 640, TOY),
        "half_an_hour", {"input_scale": 1.0, "crop_size": (128, 160), "scale": (0.56, 1.67), "balance": "none"},
    ),
    "street scenes": (
        ((360, 480), 367, STREET),
        "half_an_hour", {"input_scale": 1.0, "crop_size": (384, 480), "scale": (0.71, 1.67), "balance": "weights"},
    ),
    "photographs": (
        ((375, 500), 1464, VOC),
        "half_an_hour", {"input_scale": 0.9, "crop_size": (352, 480), "scale": (0.5, 1.5), "balance": "none"},
    ),
    "photographs that stand": (
        ((500, 375), 1464, VOC), "half_an_hour", {"input_scale": 0.9, "crop_size": (480, 352), "crops_per_image": 1},
    ),
    "cracks in 12 megapixels": (
        ((3000, 4000), 40, CRACK),
        "half_an_hour",
        {"input_scale": 1.0, "crop_size": (320, 416), "scale": (0.69, 1.67), "balance": "windows", "crops_per_image": 5,
         "loss": ("cross_entropy", "dice")},
    ),
    "objects that fill 12 megapixels": (
        ((3000, 4000), 500, {name: (a, b, 8 * c) for name, (a, b, c) in VOC.items()}),
        "half_an_hour", {"input_scale": 0.25, "scale": (0.14, 0.42), "balance": "none"},
    ),
    "few images": (
        ((480, 640), 20, CELLS),
        "small_dataset", {"input_scale": 1.0, "crop_size": (256, 320), "balance": "none", "freeze_backbone": 20},
    ),
    "a raster in blocks": (
        ((2048, 2048), 60, {"background": (0.9, 1, 500), "roof": (0.1, 0.8, 40)}),
        "half_an_hour", {"input_scale": 1.0, "crop_size": (320, 416), "balance": "none"},
    ),
    "images smaller than a crop": (
        ((50, 70), 3000, {"background": (0.995, 1, 60), "spot": (0.005, 1, 5)}),
        "half_an_hour", {"crop_size": (64, 96), "loss": ("cross_entropy", "dice"), "balance": "none"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "recipe", "settings"), KINDS.values(), ids=KINDS)
def test_a_plan_suits_the_data(data, recipe, settings):
    found = plan(*data)
    (of_recipe, *choices), kept = found.choices, found.kept
    assert (of_recipe.setting, of_recipe.value) == ("config", recipe)
    chosen = {choice.setting: choice.value for choice in choices}
    config = dataclasses.replace(read_config(Path(recipe)), **chosen)
    assert {name: getattr(config, name) for name in settings} == settings
    assert all(getattr(config, choice.setting) == choice.value for choice in kept)
    assert all(choice.reason and "\n" not in choice.reason for choice in (*choices, *kept))
    assert [choice.setting for choice in choices][-1] == "minutes"


def test_train_py_takes_the_words_of_a_plan():
    found = plan((3000, 4000), 40, CRACK)
    options = parse_train_options(found.words)
    expected = {choice.setting: choice.value for choice in found.choices[1:]}
    assert expected == {name: getattr(options.settings, name) for name in expected}
    assert str(options.config) == "half_an_hour"


def test_reasons_have_the_figures_of_the_data():
    found = plan((360, 480), 367, STREET)
    reasons = {choice.setting: choice.reason for choice in (*found.choices, *found.kept)}
    assert reasons["config"].startswith("367 images: ")
    assert reasons["crop_size"] == "images are 360x480: crops show them as a whole"
    assert "the thinnest, pole, 3.5;" in reasons["input_scale"]
    assert reasons["balance"] == "sign, the rarest, has 0.20% of the pixels"


def test_minutes_follow_from_the_speed_of_the_machine():
    """Without the constant part, a machine of twice the speed takes half as long; on a GPU nothing is said of time."""
    slow, fast = (plan((375, 500), 1464, VOC, rate) for rate in (2e10, 4e10))
    assert slow.crop_seconds == pytest.approx(2 * fast.crop_seconds)
    assert slow.choices[-1].setting == "minutes"
    assert slow.choices[-1].value > fast.choices[-1].value
    unknown = plan((375, 500), 1464, VOC, None)
    assert (unknown.choices[-1].setting, unknown.choices[-1].value, unknown.crop_seconds) == ("epochs", 12, None)


@pytest.mark.parametrize("parts", [("fcn8s", "mobilenet_v2"), ("fcn4s", "efficientnet_lite2")])
def test_the_cost_of_the_network_is_that_of_its_layers(parts):
    network = build_fcn(*parts, num_classes=11, context="mean")
    assert macs(*parts, 11) == pytest.approx(summarize(network, (64, 96)).macs / (64 * 96), rel=0.01)


def test_many_large_validation_images_are_named():
    assert "is validation, of 50 images" in plan((3000, 4000), 40, CRACK).choices[-1].reason


def test_few_large_images_are_cropped_often_in_an_epoch():
    """So that a validation comes after 200 crops at least, but none of a part that was shown already."""
    few, fewer, seen = plan((3000, 4000), 9, CRACK), plan((600, 800), 24, CRACK), plan((400, 480), 500, CRACK)
    crops = [
        next((each for each in found.choices if each.setting == "crops_per_image"), None) for found in (few, fewer)
    ]
    assert [choice.value for choice in crops] == [23, 600 * 800 // (256 * 320)]
    assert crops[0].reason == "a crop shows 1.1% of an image; one of each would be an epoch of 9"
    assert few.epochs < 200
    assert "crops_per_image" not in [choice.setting for choice in seen.choices]


def test_data_without_a_class_but_background_have_a_plan():
    found = plan((64, 64), 10, {"background": (1, 1, 64), "never": (0, 1, 1)})
    settings = parse_train_options(found.words).settings
    assert (settings.balance, settings.loss) == ("none", ("cross_entropy",))
    assert settings.minutes > 0


def test_a_line_is_as_wide_as_it_is_drawn(tmp_path):
    """Three pixels, upright in one image, lying in the other; the ground around it in runs of 20 and 37, and of 40."""
    ids = np.zeros((40, 60), np.uint8)
    ids[:, 20:23] = 1
    for name, label in (("a", ids), ("b", ids.T)):
        write_label(new_file(tmp_path / "masks" / f"{name}.png"), label, ClassTable.named(["_", "line"]))
        Image.new("RGB", label.shape[::-1]).save(new_file(tmp_path / "images" / f"{name}.png"))
    (tmp_path / "classes.txt").write_text("ground\nline\n")
    pairs = open_pairs(tmp_path, "all")
    found = inspect_pairs(pairs, with_thumbnails=True)
    assert found.runs[:3].tolist() == [2 * max(40 * 2, 57), 2 * max(40, 3), 0]
    assert found.widths[:3].tolist() == [57 / 2, 3, 0]
    assert not inspect_pairs(pairs).runs.any()


def new_file(path):
    path.parent.mkdir(exist_ok=True)
    return path
