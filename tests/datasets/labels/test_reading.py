"""Masks of every form that people have are read to the ids that they were made from, or refused in one line."""

import json

import numpy as np
import pytest
from mask_forms import (
    GREYS,
    NAMES,
    PAINTS,
    WHITE,
    as_palette,
    camvid,
    folders,
    ids_of,
    one_line,
    read,
    require,
    roboflow,
    same,
    turned,
    voc,
    white,
)
from PIL import Image

from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.runs.folder import RunFolder
from keras_fcn.training.inputs.data import open_training_data

# 0 and 255


@pytest.mark.parametrize("form", [folders, roboflow, voc, camvid])
def test_black_and_white_are_the_two_classes(tmp_path, form):
    pairs = require(form(tmp_path, white, "background\ncrack\n"), lambda name: np.minimum(ids_of(name), 1))
    assert pairs.classes.names == ("background", "crack")
    assert "masks hold only 0 and 255: 0 is 'background', 255 is 'crack'" in pairs.mask_notes[-1]


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: white(name).convert("1" if name in "ab" else "L"),
        lambda name: white(name).convert("RGB"),
        lambda name: as_palette(
            np.minimum(ids_of(name), 1), [(0,) * 3, (255,) * 3], (1, 0) if name in "ab" else (0, 1)
        ),
    ],
    ids=["1 and 8 bits", "RGB", "palettes"],
)
def test_black_and_white_of_every_kind(tmp_path, draw):
    require(folders(tmp_path, draw, "background\ncrack\n"), lambda name: np.minimum(ids_of(name), 1))


@pytest.mark.parametrize("draw", [white, lambda name: white(name).convert("1" if name in "ab" else "L")])
def test_black_and_white_without_a_file_of_classes_are_background_and_one_class(tmp_path, draw):
    pairs = require(folders(tmp_path, draw, ""), lambda name: np.minimum(ids_of(name), 1))
    assert pairs.classes.names == ("background", "class1")
    assert pairs.reading == "black_and_white"
    expected = "masks hold only 0 and 255: 0 is 'background', 255 is 'class1' (no classes.txt names them)"
    assert pairs.mask_notes == (expected,)


def test_a_third_value_beside_black_and_white_is_an_error_that_lists_values(tmp_path):
    def draw(name):
        return Image.fromarray(np.where(ids_of(name) == 2, 128, np.asarray(white(name))).astype(np.uint8))

    message = one_line(folders(tmp_path, draw, ""))
    assert "hold 2 values up to 128 (0, 128, and 255 for void), which look like shades rather than class ids" in message


@pytest.mark.parametrize(
    ("labelmap", "order"),
    [
        ("background:0,0,0::\ncrack:255,0,0::\n", (0, 1)),
        ("crack:255,0,0::\nbackground:0,0,0::\n", (0, 1)),  # black is background by its colour
        ("background:0,128,0::\ncrack:255,0,0::\n", (0, 1)),
        ("rust:0,128,0::\ncrack:255,0,0::\n", (0, 1)),
    ],
)
def test_black_and_white_beside_a_labelmap_without_white(tmp_path, labelmap, order):
    root = voc(tmp_path, white, labelmap, "labelmap.txt")
    require(root, lambda name: np.array(order)[np.minimum(ids_of(name), 1)])


def test_255_is_void_where_a_single_mask_of_any_split_holds_an_id(tmp_path):
    root = folders(tmp_path, lambda name: same(name) if name == "a" else white(name), "background\ncat\ndog\n")
    pairs, masks = read(root)
    assert pairs.mask_notes == ()
    for name, ids in masks.items():
        np.testing.assert_array_equal(ids, ids_of(name) if name == "a" else WHITE[ids_of(name)])


@pytest.mark.parametrize("form", [folders, roboflow, voc, camvid])
def test_black_and_white_with_more_names_is_an_error_with_figures(tmp_path, form):
    whites = sum((ids_of(name) > 0).sum() for name in NAMES) / (5 * 48)
    message = one_line(form(tmp_path, white, "background\ncat\ndog\n"))
    assert f"(5 in all) hold only 0 and 255 ({whites:.1%})" in message
    assert "names 3 classes: 255 is void, so nothing but 'background' is left; export masks of ids, or write" in message


def test_black_and_white_in_a_layout_of_known_classes_asks_for_a_file_of_classes(tmp_path):
    for form, whose in ((voc, "PASCAL VOC's 21 classes"), (camvid, "SegNet's 11 classes of CamVid")):
        message = one_line(form(tmp_path / form.__name__, white, ""))
        assert f"but {whose} are expected: 255 is void" in message
        assert "put classes.txt beside them with two names" in message


def test_a_run_keeps_how_its_masks_are_read(tmp_path):
    """Resumption and evaluation get it from the run's folder, and never decide anew."""
    root, run = folders(tmp_path / "data", white, "background\ncrack\n"), RunFolder(tmp_path)
    options = DataOptions(data=str(root))
    pairs = open_training_data(options, "none", None, lambda line: None).pairs
    run.keep_reading(pairs.reading, pairs.mask_notes)
    run.config.write_text(json.dumps({"data": str(root)}))
    evaluation = EvaluateOptions(models=(tmp_path,))
    assert evaluation.reading(evaluation.dataset()) == "black_and_white"
    assert evaluation.reading(DataOptions(data="other")) == ""
    same("a").save(root / "masks/a.png")
    assert open_pairs(root, "train").reading == "ids"
    with pytest.raises(
        UserError, match=r"a.png: value \d .*; values here are 0, 255; .* all masks held 0 and 255 only"
    ):
        open_training_data(options, "none", None, lambda line: None, run.reading)


def test_a_reading_that_a_run_kept_is_used(tmp_path):
    root = folders(tmp_path, white, "background\ncrack\n")
    reading = open_pairs(root, "train").reading
    Image.fromarray(ids_of("a") * 0 + 1).save(root / "masks/a.png")
    kept = open_pairs(root, "train", reading=reading)
    np.testing.assert_array_equal(kept.read_label(root / "masks/b.png"), np.minimum(ids_of("b"), 1))
    with pytest.raises(UserError, match=r"a.png: value 1 \(48 pixels\) stands for no class; values here are 0, 255"):
        kept.read_label(root / "masks/a.png")


# Palettes


@pytest.mark.parametrize("form", [folders, roboflow, camvid])
def test_palettes_that_number_colours_differently_are_refused(tmp_path, form):
    message = one_line(form(tmp_path, turned(PAINTS), "background\ncat\ndog\n"))
    assert "palette index 0 is " in message
    assert "labelmap.txt with a line such as cat:255,0,0:: for each colour" in message


@pytest.mark.parametrize("form", [folders, roboflow, camvid])
def test_greys_are_ids_where_palettes_number_them_differently(tmp_path, form):
    pairs = require(form(tmp_path, turned(GREYS), "background\ncat\ndog\n"), ids_of)
    assert pairs.mask_notes[-1] == "palettes number their greys differently: greys, not indices, are ids"


def test_greys_are_ids_where_an_optimizer_left_gaps_out(tmp_path):
    """0 and 2 of three ids became the indices 0 and 1 of every file."""
    two = np.array([0, 2, 2], np.uint8)
    root = folders(tmp_path, lambda name: as_palette(two[ids_of(name)] // 2, GREYS[[0, 2]], (0, 1)))
    require(root, lambda name: two[ids_of(name)])
    (root / "classes.txt").unlink()
    assert "palette index 1 is grey 2, and either could be the id" in one_line(root)


def test_indices_are_ids_where_all_palettes_agree(tmp_path):
    assert require(folders(tmp_path, lambda name: as_palette(ids_of(name), PAINTS, (0, 1, 2))), ids_of).mask_notes == ()


@pytest.mark.parametrize("file", ["classes.txt", "class_names.txt"])
def test_own_palettes_in_vocs_folders_hold_ids(tmp_path, file):
    draw = lambda name: as_palette(ids_of(name), PAINTS, (0, 1, 2))  # noqa: E731
    pairs = require(voc(tmp_path, draw, "background\ncat\ndog\n", file), ids_of)
    assert pairs.mask_notes[-1] == "palettes are not VOC's: indices, not colours, are ids"
    assert not pairs.palette_means_colors


def test_vocs_colours_count_whatever_their_index(tmp_path):
    colors = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
    pairs = require(voc(tmp_path, turned(np.array(colors)), "background\ncat\ndog\n"), ids_of)
    assert (pairs.reading, pairs.mask_notes) == ("colors", ())
