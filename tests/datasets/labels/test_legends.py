"""Files of classes beside masks of every form: what they name wins, or the error says what to write."""

import numpy as np
import pytest
from layouts import save, write, write_camvid, write_labelme, write_voc
from mask_forms import GREYS, NAMES, PAINTS, camvid, folders, ids_of, one_line, require, roboflow, same, turned, voc
from PIL import Image

from keras_fcn.datasets import open_pairs
from keras_fcn.images.label_files.content import label_content

# labelmap.txt and grey masks


def test_grey_masks_hold_the_positions_of_labels(tmp_path):
    """As CVAT imports them; comments are no lines, and background gets id 0 wherever it stands."""
    labelmap = "# label:color_rgb:parts:actions\ncat:0,9,9:: # color index 0\n\nbackground:0,0,0::\nvoid:7,7,9::\n"
    root = voc(tmp_path, same, labelmap, "labelmap.txt")
    pairs = require(root, lambda name: np.array([1, 0, 255])[ids_of(name)])
    assert pairs.classes.names == ("background", "cat")
    assert pairs.mask_notes[-1] == "masks are grey and hold positions in labelmap.txt: 0 is 'cat', 1 is 'background'"


@pytest.mark.parametrize("draw", [lambda name: same(name).convert("RGB"), turned(GREYS)], ids=["RGB", "palettes"])
def test_positions_in_grey_of_every_kind(tmp_path, draw):
    root = folders(tmp_path, draw, "background:0,0,0::\na:250,50,83::\nb:51,221,255::\n", "labelmap.txt")
    require(root, ids_of)


def test_greys_that_are_colours_of_a_labelmap_are_colours(tmp_path):
    shades = np.array([0, 100, 200], np.uint8)
    root = folders(
        tmp_path,
        lambda name: Image.fromarray(shades[ids_of(name)]),
        "light:200,200,200::\nbackground:0,0,0::\ndark:100,100,100::\n",
        "labelmap.txt",
    )
    require(root, lambda name: np.array([0, 2, 1])[ids_of(name)])


def test_greys_that_are_positions_and_colours_of_others_are_refused(tmp_path):
    labelmap = "b:2,2,2::\na:1,1,1::\nbackground:0,0,0::\n"
    message = one_line(folders(tmp_path, same, labelmap, "labelmap.txt"))
    assert "0 is 'b' as the position of a line and 'background' as a colour; order the lines" in message


def test_no_one_is_told_to_paint_ids_as_background(tmp_path):
    """Masks in colour first; then one of grey ids, which are near black."""
    labelmap = "background:0,0,0::\na:255,0,0::\nb:0,255,0::\n"
    draw = lambda name: same(name) if name == "e" else Image.fromarray(PAINTS.astype(np.uint8)[ids_of(name)])  # noqa: E731
    message = one_line(folders(tmp_path, draw, labelmap, "labelmap.txt"))
    assert "e.png: colour (" in message
    assert "paint it" not in message
    assert "may be an id: export all masks in the classes' colours, or all as grey ids" in message


# Classes beside layouts that bring their own


@pytest.mark.parametrize("form", [voc, camvid])
def test_a_file_of_classes_wins_over_those_of_a_layout(tmp_path, form):
    pairs = require(form(tmp_path, same, "background\ncrack\nrust\n"), ids_of)
    assert pairs.classes.names == ("background", "crack", "rust")


def test_a_file_of_classes_beside_vocs_folders_inside(tmp_path):
    voc(tmp_path / "VOCdevkit/VOC2012", same, "")
    write(tmp_path / "VOCdevkit/classes.txt", "background\ncrack\nrust\n")
    assert open_pairs(tmp_path / "VOCdevkit", "train").classes.names == ("background", "crack", "rust")


def test_segnets_void_is_a_class_of_a_file_of_more(tmp_path):
    names = "".join(f"c{index}\n" for index in range(12))
    write_camvid(tmp_path, NAMES)
    write(tmp_path / "classes.txt", names)
    save(tmp_path / "trainannot/a.png", np.full((2, 2), 11, np.uint8))
    assert open_pairs(tmp_path, "train").read_label(tmp_path / "trainannot/a.png").tolist() == [[11, 11]] * 2


@pytest.mark.parametrize(
    ("form", "value", "whose"),
    [(voc, 21, "PASCAL VOC's 21 classes"), (camvid, 12, "SegNet's 11 classes of CamVid")],
)
def test_ids_that_do_not_fit_a_layouts_classes_name_the_file_to_write(tmp_path, form, value, whose):
    message = one_line(form(tmp_path, lambda name: Image.fromarray(ids_of(name) // 2 * np.uint8(value)), ""))
    assert f"{value} (" in message
    assert f"these are {whose}: for classes of your own, write {tmp_path / 'classes.txt'}" in message


def test_a_file_of_classes_is_never_passed_over(tmp_path):
    folders(tmp_path / "inner", classes="a\nb\nc", file="masks/classes.txt")
    pairs = open_pairs(tmp_path / "inner", "train")
    assert (pairs.classes.names, pairs.mask_notes) == (("a", "b", "c"), ("classes are those of masks/classes.txt",))
    for number in range(3):
        write(tmp_path / f"inner/masks/{number}.txt", "0 0.5 0.5 0.1 0.1")  # boxes, of other classes
    assert open_pairs(tmp_path / "inner", "train").classes.names == ("background", "class1", "class2")
    folders(tmp_path / "other", classes="a.jpg,cat\nb.jpg,dog", file="labels.csv")
    notes = open_pairs(tmp_path / "other", "train").mask_notes
    assert notes == ("labels.csv looks like a file of classes, but is not understood",)
    write_labelme(tmp_path / "both", NAMES)
    write(tmp_path / "both/classes.txt", "a\nb\nc")
    assert "contradict each other: 'a' is in " in one_line(tmp_path / "both")


@pytest.mark.parametrize("form", [camvid, roboflow])
def test_a_split_without_masks_does_not_keep_others_from_being_read(tmp_path, form):
    root = form(tmp_path, same, "background\ncat\ndog\n")
    for folder in ("test", "testannot"):
        save(root / folder / "t.jpg", np.zeros((6, 8, 3), np.uint8))
    require(root, ids_of)


def test_untouched_voc_stays_as_it_was(tmp_path):
    write_voc(tmp_path)
    pairs = open_pairs(tmp_path, "train")
    assert (pairs.reading, pairs.palette_means_colors, pairs.mask_notes) == ("colors", True, ())


def test_few_masks_are_decoded_to_choose(tmp_path, monkeypatch):
    decoded = []
    spied = "keras_fcn.datasets.labels.survey.label_content"
    monkeypatch.setattr(spied, lambda path: [decoded.append(path), label_content(path)][1])
    root = folders(tmp_path)
    assert [open_pairs(root, split).reading for split in ("train", "val")] == ["ids", "ids"]
    assert len(decoded) in (1, 2)  # the second may be under way when the first has answered; not again for "val"
