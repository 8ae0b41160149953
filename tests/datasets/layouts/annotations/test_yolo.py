"""YOLO's polygons: masks as Ultralytics gives them, data.yaml and its folders, and faults in the files."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from layouts import save, splits, write

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.annotations.raster.supervisely import draw_supervisely
from keras_fcn.errors import UserError

DRAWN = Path(__file__).parents[3] / "extras/annotations/ultralytics_polygons.json"
"""What Ultralytics itself drew: draw_by_ultralytics.py beside it made it."""

SIZE = (24, 30)
YAML = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n  2: void\n"
SQUARE = "0 0.1 0.125 0.2 0.125 0.2 0.25 0.1 0.25\n"  # (3, 3) to (6, 6)


def put(root, lines, folder="train", image="images", labels="labels"):
    for number, text in enumerate(lines):
        save(root / f"{image}/{folder}/{folder}{number:02}.png", np.zeros((*SIZE, 3), np.uint8))
        if text is not None:
            write(root / f"{labels}/{folder}/{folder}{number:02}.txt", text)


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return [pairs.read_label(label) for label in pairs.labels]


def test_masks_are_those_of_ultralytics(tmp_path):
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    write(tmp_path / "data.yaml", "names: [cat, dog, bird]\ntrain: images\nval: images\n")
    put(tmp_path, ["\n".join(each["lines"]) for each in drawn], "")
    pairs = open_pairs(tmp_path, "all")
    assert len(open_pairs(tmp_path, "train")) + len(open_pairs(tmp_path, "val")) == len(pairs)  # not the same twice
    assert pairs.classes.names == ("background", "cat", "dog", "bird")
    for ids, each in zip(masks(pairs), drawn, strict=True):
        np.testing.assert_array_equal(ids, [[".123".index(value) for value in row] for row in each["rows"]])


def test_a_square_has_its_outline_and_the_smaller_shape_lies_on_top(tmp_path):
    write(tmp_path / "data.yaml", YAML.replace("val: images/val\n", "test: images/gone\n"))
    put(tmp_path, ["1 0.133 0.166 0.1674 0.166 0.1674 0.209 0.133 0.209\n" + SQUARE, "2" + SQUARE[1:]])
    first, second = masks(open_pairs(tmp_path, "all"))
    expected = np.zeros((6, 6))
    expected[1:5, 1:5] = 1
    expected[1:4, 1:4] = 2
    np.testing.assert_array_equal(first[2:8, 2:8], expected)
    assert (second == 255).sum() == 16


@pytest.mark.parametrize(
    ("yaml", "image", "labels"),
    [
        (YAML, "images", "labels"),
        ("names: [cat, dog]\nnc: 2\ntrain: ../train/images\nval: ../val/images\ntest: ../test/images\n", None, None),
        ("names: [cat]\n", "images", "labels"),
        ("names: [cat]\ntrain: train.txt\nval: val.txt\n", "images", "labels"),
        (None, "images", "labels"),
    ],
)
def test_where_images_and_labels_may_be(tmp_path, yaml, image, labels):
    for split in ("train", "val", "test"):
        put(
            tmp_path,
            [SQUARE, SQUARE],
            "" if image is None else split,
            image or f"{split}/images",
            labels or f"{split}/labels",
        )
        if image is None:
            for number in range(2):
                for folder, kind in (("images", "png"), ("labels", "txt")):
                    path = tmp_path / split / folder / f"{number:02}.{kind}"
                    path.rename(path.with_stem(f"{split}{number:02}"))
        write(
            tmp_path / f"{split}.txt", "".join(f"data/images/{split}/{split}{number:02}.png\n" for number in range(2))
        )
    write(tmp_path / ("classes.txt" if yaml is None else "data.yaml"), yaml or "cat\ndog\n")
    assert splits(tmp_path) == [{"train00", "train01"}, {"val00", "val01"}]


def test_without_splits_all_is_divided_and_images_without_labels_are_left_out(tmp_path):
    write(tmp_path / "data.yaml", "names: {0: cat}\n")
    put(tmp_path, [SQUARE] * 5 + [None, ""], "")
    train, val = splits(tmp_path)
    assert (len(train | val), len(val)) == (6, 1)
    pairs = open_pairs(tmp_path, "all")
    assert [path.name for path in pairs.unlabelled] == ["05.png"]
    assert sorted(finding.kind for finding in pairs.findings) == ["no shapes", "photo alone"]
    assert [mask.sum() for mask in masks(pairs)] == [16] * 5 + [0]


FAULTS = {
    r"a00.txt: line 2 is a box, which is no mask": SQUARE + "0 0.1 0.1 0.2 0.2",
    r"a00.txt: line 1 has 5 coordinates; a polygon needs": "0 0.1 0.1 0.2 0.2 0.3",
    r"a00.txt: line 1 has 2 coordinates": "0 0.1 0.1",
    r"a00.txt: line 1: there is no class 3; numbers are 0 to 2": "3 0.1 0.1 0.2 0.2 0.3 0.1",
    r"there is no class 0.5;": "0.5 0.1 0.1 0.2 0.2 0.3 0.1",
    r"has the coordinate 12; they are fractions": "0 12 0.1 0.2 0.2 0.3 0.1",
    r"has the coordinate nan": "0 nan 0.1 0.2 0.2 0.3 0.1",
    r"must be a class number and x y of each point. Received: cat 0.1": "cat 0.1 0.1 0.2 0.2 0.3 0.1",
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_labels(tmp_path, message):
    write(tmp_path / "data.yaml", "names: [cat, dog, bird]\n")
    put(tmp_path, [FAULTS[message], SQUARE, SQUARE], "a")
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: [cat", r"data.yaml: cannot be read as YAML"),
        ("names: {1: cat, 2: dog}", r"names must be a list, or numbered from 0 on. Received: \{1: "),
        ("names: {0: cat, dog: 1}", "names must be a list, or numbered"),
        ("names: []", r"names must be a list"),
        ("names: [cat]\ntrain: images/gone\n", "has no images/gone, which its YAML names; write a path in this folder"),
        ("names: [cat]\ntrain: /tmp\n", "has no /tmp, which its YAML names"),
        ("names: [cat]\ntrain: ../..\n", r"has no \.\./\.\., which"),
        ("names: [cat, cat]\n", "data.yaml: class name cat occurs twice"),
        ("names: [cat]\ntrain: " + "[" * 3000, r"data.yaml: cannot be read as YAML \(it is nested too deeply"),
        (
            f"a: &a {[0] * 999}\nb: &b {['*a'] * 999}\nnames: [cat]\ntrain: *b\n".replace("'", ""),
            "its aliases stand for",
        ),
        ("nc: 2\n", "no file there names the classes of its labels; write `names"),
        ("names: [cat]\ntrain: data.yaml\n", r"data.yaml: is neither a folder of images nor a .txt that lists them"),
        ("names: [cat]\ntrain: labels\n", r"holds no images in images/; put them there, beside labels/"),
    ],
)
def test_faults_of_data_yaml(tmp_path, yaml, message):
    write(tmp_path / "data.yaml", yaml)
    put(tmp_path, [SQUARE, SQUARE])
    with pytest.raises(UserError, match=message) as caught:
        open_pairs(tmp_path, "train")
    assert "\n" not in str(caught.value)


def test_two_files_of_names_and_images_without_any_label_are_refused(tmp_path):
    write(tmp_path / "data.yaml", "names: [cat]\n")
    put(tmp_path, [None, None])
    write(tmp_path / "labels/train/other.txt", SQUARE)
    with pytest.raises(UserError, match="none of its 2 images in images/ has a file in labels/ of its name"):
        open_pairs(tmp_path, "train")
    write(tmp_path / "more.yml", "names: [dog]\n")
    with pytest.raises(UserError, match=r"data\.yaml and more\.yml both name classes; move one of them away"):
        open_pairs(tmp_path, "train")


def test_a_file_is_no_folder(tmp_path):
    write(tmp_path / "data.yaml", YAML)
    with pytest.raises(UserError, match=rf"data.yaml: is a file; give the folder of the data set, such as {tmp_path}$"):
        open_pairs(tmp_path / "data.yaml", "train")


def test_an_opencv_that_fills_other_pixels_draws_nothing(tmp_path, monkeypatch):
    cv2 = pytest.importorskip("cv2", reason="pip install -r requirements-extra.txt")
    write(tmp_path / "data.yaml", YAML.replace("val: images/val\n", ""))
    put(tmp_path, [SQUARE.replace("0.1", "0.11")] * 2)
    exterior = [[1, 1], [4, 1], [4, 4]]
    figure = {"points": {"exterior": exterior, "interior": []}}
    for version, is_taken in (("4.9.0", False), ("4.10.0", False), ("4.11.0", True), ("5.0.0-dev", True)):
        monkeypatch.setattr(cv2, "__version__", version)
        with nullcontext() if is_taken else pytest.raises(UserError, match=rf"OpenCV {version} .*pip install .*4.11"):
            draw_supervisely([(1, "polygon", figure)], (6, 6))
        with nullcontext() if is_taken else pytest.raises(UserError, match=rf"OpenCV {version} .*pip install .*4.11"):
            open_pairs(tmp_path, "train")
