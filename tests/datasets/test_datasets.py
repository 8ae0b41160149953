import numpy as np
import pytest
from layouts import digest
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.datasets.toy import draw_scene, draw_toy_dataset
from keras_fcn.errors import UserError


@pytest.fixture
def voc(tmp_path):
    """Returns a data set of four training pairs, to be damaged."""
    return draw_toy_dataset(tmp_path / "voc", {"train": 4, "val": 1})


def test_toy_has_vocs_layout(toy):
    pairs = read_voc(toy, "train")
    assert len(pairs) == 10
    assert (toy / "ImageSets/Segmentation/val.txt").read_text().split() == ["val_0000", "val_0001", "val_0002"]
    for image, label in zip(pairs.images, pairs.labels):
        assert (image.parent, label.parent) == (toy / "JPEGImages", toy / "SegmentationClass")
        with Image.open(image) as photo, Image.open(label) as mask:
            assert (photo.format, mask.format, mask.mode) == ("JPEG", "PNG", "P")
            assert photo.size == mask.size


def test_toy_is_varied(tmp_path):
    pairs = read_voc(draw_toy_dataset(tmp_path / "toy", {"train": 60}), "train")
    labels = [np.asarray(Image.open(path)) for path in pairs.labels]
    counts = np.bincount(np.concatenate([label.ravel() for label in labels]), minlength=256)
    assert np.flatnonzero(counts).tolist() == [0, 1, 4, 5, 6, 8, 16, 17, 20, 255]
    assert (counts[1:21][counts[1:21] > 0] > 1000).all()
    assert {size % 2 for label in labels for size in label.shape} == {0, 1}
    assert any(len(np.unique(label)) > 3 for label in labels)  # several classes in one scene


def test_toy_is_the_same_every_time_and_another_with_another_seed(tmp_path):
    sizes = {"train": 2, "val": 1}
    first, again = draw_toy_dataset(tmp_path / "a", sizes), draw_toy_dataset(tmp_path / "b", sizes)
    other = draw_toy_dataset(tmp_path / "c", sizes, seed=1)
    assert digest(first) == digest(again) != digest(other)


def test_scenes_are_drawn_larger_with_more_detail():
    (small, _), (image, label) = (draw_scene(np.random.default_rng(2), scale) for scale in (1, 3))
    assert image.shape == (3 * small.shape[0], 3 * small.shape[1], 3)
    assert label.shape == image.shape[:2]
    blocks = label.reshape(small.shape[0], 3, small.shape[1], 3)
    assert (blocks != blocks[:, 1:2, :, 1:2]).any()  # not a small label with each pixel repeated


def test_toy_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_fcn.datasets.toy.TOY_IMAGES", {"train": 2, "val": 1})
    assert len(open_pairs("toy", "train")) == 2
    before = digest(tmp_path / "data/toy")
    assert len(open_pairs("toy", "val")) == 1
    assert digest(tmp_path / "data/toy") == before


def test_a_vocdevkit_folder_will_do(voc, tmp_path):
    (tmp_path / "VOCdevkit").mkdir()
    voc.rename(tmp_path / "VOCdevkit/VOC2012")
    assert len(read_voc(tmp_path / "VOCdevkit", "train")) == 4


def test_inspection_counts_the_pixels_of_every_pair(toy):
    pairs = read_voc(toy, "train")
    expected = [Image.open(path).size[::-1] for path in pairs.images]
    inspection = inspect_pairs(pairs)
    assert inspection.sizes.tolist() == [list(size) for size in expected]
    for pixels, path in zip(inspection.pixels, pairs.labels):
        np.testing.assert_array_equal(pixels, np.bincount(np.asarray(Image.open(path)).ravel(), minlength=256))
    assert inspection.is_sound.all()
    assert inspection.findings == ()


def rewrite_list(text):
    return lambda voc: (voc / "ImageSets/Segmentation/train.txt").write_text(text)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda voc: voc.rename(voc.with_name("moved")), "voc: no such folder"),
        (lambda voc: (voc / "JPEGImages").rename(voc / "Images"), "JPEGImages: no such folder"),
        (lambda voc: (voc / "ImageSets/Segmentation/train.txt").unlink(), r"train.txt: no such split list; .* val"),
        (rewrite_list(" \n"), "train.txt: lists no images"),
        (rewrite_list("train_0001\ntrain_0002\ntrain_0001\n"), "lists 'train_0001' more than once"),
        (rewrite_list("train_0001\ncat\n"), r"train.txt: the image of 'cat' is missing.* \(and 1 more: "),
        (
            lambda voc: (voc / "SegmentationClass/train_0002.png").unlink(),
            r"train.txt: the mask of 'train_0002' is missing",
        ),
    ],
)
def test_what_is_missing_is_named(voc, damage, message):
    damage(voc)
    with pytest.raises(UserError, match=message):
        inspect_pairs(open_pairs(voc, "train", "voc")).require_sound()


def test_a_mask_of_another_size_is_named_with_both_sizes(voc):
    path = voc / "SegmentationClass/train_0002.png"
    with Image.open(path) as mask:
        width, height = mask.size
        mask.crop((0, 0, width, height - 1)).save(path)
    message = rf"train_0002.png: is {height - 1}x{width} pixels .*train_0002.jpg is {height}x{width}"
    with pytest.raises(UserError, match=message):
        inspect_pairs(read_voc(voc, "train")).require_sound()


def test_lists_may_come_from_windows(voc):
    (voc / "ImageSets/Segmentation/train.txt").write_bytes(b"\xef\xbb\xbftrain_0001\r\ntrain_0003\r\n")
    assert [path.stem for path in read_voc(voc, "train").images] == ["train_0001", "train_0003"]
