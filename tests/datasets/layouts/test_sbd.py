import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.published.sbd import read_sbd_label, read_voc_aug
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable

VOC = {"train": ["v1", "both_train"], "val": ["v2", "both_val"], "trainval": ["v1", "v2", "both_train", "both_val"]}
SBD = {"train": ["s2", "both_val", "s1"], "val": ["both_train", "s3"]}
HEIGHT, WIDTH = 12, 17


def segmentation(name: str) -> np.ndarray:
    """Returns ids that differ from name to name, without symmetry, so that a rotated or swapped mask is noticed."""
    return np.random.default_rng(list(name.encode())).choice([0, 3, 15, 20], (HEIGHT, WIDTH)).astype(np.uint8)


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 80, 70)).save(path)


def write_mat(path: Path, ids: object, field: str = "Segmentation") -> Path:
    """Writes a file as SBD has them: one struct GTcls with three fields, the boundaries being sparse cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        boundaries[index, 0] = csc_matrix((HEIGHT, WIDTH), dtype=np.uint8)
    present = np.array([[3], [15], [20]], np.uint8)
    savemat(path, {"GTcls": {"Boundaries": boundaries, field: ids, "CategoriesPresent": present}}, do_compression=True)
    return path


def write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in lists.items():
        (folder / f"{split}.txt").write_text("\n".join(names) + "\n")


def write_data(root: Path, voc: str = "VOCdevkit/VOC2012", sbd: str = "benchmark_RELEASE/dataset") -> Path:
    """Writes both data sets; VOC's masks of the images that both have are all void, unlike SBD's."""
    for name in VOC["trainval"]:
        write_image(root / voc / "JPEGImages" / f"{name}.jpg")
        ids = np.full((HEIGHT, WIDTH), 255, np.uint8) if name.startswith("both") else segmentation(name)
        (root / voc / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(ids).save(root / voc / "SegmentationClass" / f"{name}.png")
    write_lists(root / voc / "ImageSets/Segmentation", VOC)
    for name in SBD["train"] + SBD["val"]:
        write_image(root / sbd / "img" / f"{name}.jpg")
        write_mat(root / sbd / "cls" / f"{name}.mat", segmentation(name))
    write_lists(root / sbd, SBD)
    return root


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


@pytest.mark.parametrize(
    ("voc", "sbd"),
    [
        ("VOCdevkit/VOC2012", "benchmark_RELEASE/dataset"),
        ("VOC2012", "dataset"),
        ("VOC2012", "benchmark_RELEASE/dataset"),
    ],
)
def test_both_data_sets_are_recognized_wherever_they_are(tmp_path, voc, sbd):
    root = write_data(tmp_path / "data", voc, sbd)
    assert find_layout(root) == "voc_aug"
    assert find_layout(root / voc) == "voc"
    pairs = open_pairs(root, "train")
    assert pairs.images[0] == root / voc / "JPEGImages/v1.jpg"
    assert pairs.images[-1] == root / sbd / "img/s3.jpg"


def test_voc_alone_is_no_voc_aug(data):
    (data / "benchmark_RELEASE").rename(data / "elsewhere")
    assert find_layout(data) == "voc"


@pytest.mark.parametrize("split", ["train", "train_aug"])
def test_training_images_are_vocs_and_sbds_without_vocs_validation_images(data, split):
    pairs = open_pairs(data, split)
    assert pairs.names == ["v1", "both_train", "s2", "s1", "s3"]
    assert [path.suffix for path in pairs.labels] == [".png", ".png", ".mat", ".mat", ".mat"]
    assert [path.relative_to(data).parts[0] for path in pairs.images] == ["VOCdevkit"] * 2 + ["benchmark_RELEASE"] * 3
    assert (pairs.split, pairs.classes) == (split, ClassTable.voc())
    assert not set(pairs.names) & set(open_pairs(data, "val").names)


@pytest.mark.parametrize("split", ["val", "trainval"])
def test_other_splits_are_vocs_own(data, split):
    pairs = open_pairs(data, split)
    assert pairs.names == VOC[split]
    assert {path.parent for path in pairs.labels} == {data / "VOCdevkit/VOC2012/SegmentationClass"}


def test_masks_of_both_kinds_are_read(data):
    pairs = open_pairs(data, "train_aug")
    for name, label in zip(pairs.names, pairs.labels):
        ids = pairs.read_label(label)
        expected = np.full((HEIGHT, WIDTH), 255) if name == "both_train" else segmentation(name)
        np.testing.assert_array_equal(ids, expected)
        assert (ids.dtype, ids.flags.c_contiguous) == (np.uint8, True)
    inspection = inspect_pairs(pairs)
    assert inspection.is_sound.all()
    assert inspection.pixels.sum(axis=1).tolist() == [HEIGHT * WIDTH] * 5
    assert inspection.findings == ()


def test_vocs_masks_are_read_as_all_of_them_need(data):
    """Their palettes are another program's, so that indices are ids, as a file of classes confirms; SBD's have none."""
    for path in data.rglob("SegmentationClass/*.png"):
        mask = Image.open(path)
        mask.putpalette([*range(1, 255)] * 3)
        mask.save(path)
    (data / "VOCdevkit/VOC2012/classes.txt").write_text("\n".join(ClassTable.voc().names))
    train, val = open_pairs(data, "train"), open_pairs(data, "val")
    assert train.reading == val.reading == "ids"
    assert train.mask_notes == val.mask_notes == ("palettes are not VOC's: indices, not colours, are ids",)
    for pairs in (train, val):
        for name, label in zip(pairs.names, pairs.labels):
            expected = np.full((HEIGHT, WIDTH), 255) if name.startswith("both") else segmentation(name)
            np.testing.assert_array_equal(pairs.read_label(label), expected)


def test_a_class_file_beside_both_is_the_classes_of_both(data):
    ids = np.array([0, 1, 2, 3] * (HEIGHT * WIDTH // 4), np.uint8).reshape(HEIGHT, WIDTH)
    for path in data.rglob("*.mat"):
        write_mat(path, ids)
    for path in data.rglob("SegmentationClass/*.png"):
        Image.fromarray(ids).save(path)
    (data / "VOCdevkit/VOC2012/classes.txt").write_text("0 ground\n1 void\n2 road\n3 sky\n")
    pairs = open_pairs(data, "train")
    assert pairs.classes.names == ("ground", "road", "sky")
    assert {pairs.reading, open_pairs(data, "val").reading} == {"ids"}
    for label in pairs.labels:
        np.testing.assert_array_equal(pairs.read_label(label), np.array([0, 255, 1, 2])[ids])
    write_mat(pairs.labels[-1], np.full((HEIGHT, WIDTH), 9, np.uint8))
    with pytest.raises(UserError, match=r"s3.mat: value 9 .* stands for no class; .*; SBD's masks hold VOC's ids"):
        pairs.read_label(pairs.labels[-1])


def test_a_name_in_both_of_sbds_lists_counts_once(data):
    write_lists(data / "benchmark_RELEASE/dataset", {"val": ["s1", "s3"]})
    assert open_pairs(data, "train").names == ["v1", "both_train", "s2", "s1", "s3"]


def test_missing_files_of_sbd_are_found(data):
    sbd = data / "benchmark_RELEASE/dataset"
    (sbd / "img/s1.jpg").unlink()
    (sbd / "cls/s3.mat").unlink()
    pairs = open_pairs(data, "train")
    assert pairs.names == ["v1", "both_train", "s2"]
    assert [finding.kind for finding in pairs.findings] == ["missing photo", "missing mask"]
    assert [str(sbd / f"{split}.txt") in str(f) for split, f in zip(["train", "val"], pairs.findings)] == [True, True]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt",
            r"val.txt: no such split list; lists there: train, trainval",
        ),
        ("benchmark_RELEASE/dataset/val.txt", "dataset/val.txt: no such list; it is part of SBD"),
        ("benchmark_RELEASE/dataset/img", "img: no such folder"),
    ],
)
def test_what_is_missing_is_named(data, path, message):
    (data / path).rename(data / "elsewhere")
    with pytest.raises(UserError, match=message):
        read_voc_aug(data, "train")


def test_a_split_that_is_nobodys_is_named(data):
    with pytest.raises(UserError, match=r"test.txt: no such split list; lists there: train, trainval, val"):
        read_voc_aug(data, "test")


def test_an_id_that_is_no_class_is_named_with_its_file(tmp_path):
    ids = segmentation("s1")
    ids[2, 3:6] = 21
    path = write_mat(tmp_path / "s1.mat", ids)
    with pytest.raises(DataError, match=rf"^{path}: class id 21 \(3 pixels\) is out of range") as caught:
        read_sbd_label(path, ClassTable.voc())
    assert caught.value.kind == "id out of range"


def damaged(path: Path, change) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: damaged(write_mat(path, segmentation("a")), lambda data: data[: len(data) // 2]), ""),
        (lambda path: damaged(write_mat(path, segmentation("a")), lambda data: data[:200] + bytes(80)), ""),
        (lambda path: damaged(write_mat(path, segmentation("a")), lambda data: b""), ""),
        (lambda path: damaged(write_mat(path, segmentation("a")), lambda data: b"<html>Not found</html>" * 20), ""),
        (lambda path: write_mat(path, segmentation("a"), field="Other"), "Segmentation"),
        (lambda path: write_mat(path, segmentation("a") / 2), r"Segmentation is float64 \[12, 17\], not uint8"),
        (lambda path: write_mat(path, np.zeros((3, 4, 2), np.uint8)), r"Segmentation is uint8 \[3, 4, 2\], not uint8"),
        (lambda path: (savemat(path, {"GTinst": 3}), path)[1], "GTcls"),
    ],
    ids=["half", "torn", "empty", "page", "field", "floats", "3d", "variable"],
)
def test_a_damaged_mask_is_one_line(tmp_path, make, message):
    path = make(tmp_path / "s1.mat")
    with pytest.raises(DataError, match=rf"^{path}: cannot be decoded \(.*{message}.*\); replace the file") as caught:
        read_sbd_label(path, ClassTable.voc())
    assert caught.value.kind == "undecodable file"
    assert "\n" not in str(caught.value)


def test_flipped_bytes_are_never_anything_but_a_data_error(tmp_path):
    path = write_mat(tmp_path / "s1.mat", segmentation("s1"))
    sound, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for position in rng.choice(len(sound), 60, replace=False):
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 0xFF]) + sound[position + 1 :])
        try:
            assert read_sbd_label(path, ClassTable.voc()).ndim == 2
        except DataError:
            refused += 1
    assert refused > 10


def test_a_mask_that_does_not_exist_is_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"s1.mat: no such file") as caught:
        read_sbd_label(tmp_path / "s1.mat", ClassTable.voc())
    assert caught.value.kind == "missing file"


def test_without_scipy_the_fix_is_reported_before_any_mask_is_read(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UserError, match=r"needs scipy, .*: pip install -r requirements-extra.txt"):
        open_pairs(data, "train_aug")
    assert open_pairs(data, "val").names == VOC["val"]
