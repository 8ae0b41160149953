"""What lies in a data set's folders is read, or said to be left out."""

import re

import numpy as np
import pytest
from layouts import NAMES, require_truth, save, scene, write, write_camvid, write_cvat, write_folders, write_roboflow
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs, open_splits
from keras_fcn.datasets.inspection import left_out
from keras_fcn.datasets.layouts.annotations.common.files import files_named
from keras_fcn.datasets.listing import is_picture
from keras_fcn.errors import UserError
from keras_fcn.system import files
from keras_fcn.system.files import entries_of, walk_files


def convert(path, suffix):
    Image.open(path).save(path.with_suffix(suffix))
    path.unlink()


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".webp", ".bmp", ".jfif", ".jpe", ".gif", ".avif"])
@pytest.mark.parametrize("writer", [write_cvat, write_folders, write_roboflow, write_camvid])
def test_images_of_every_kind_are_read(tmp_path, writer, suffix):
    truth = writer(tmp_path)
    pairs = open_pairs(tmp_path, "train")
    for image in pairs.images:
        Image.open(image).save(image.with_suffix(suffix), **({"format": "JPEG"} if suffix[1] == "j" else {}))
        image.unlink()
    converted = open_pairs(tmp_path, "train")
    assert (converted.names, converted.findings) == (pairs.names, ())
    require_truth(converted, truth)


@pytest.mark.parametrize(
    ("writer", "folder"),
    [(write_cvat, "JPEGImages"), (write_folders, "images"), (write_roboflow, "train"), (write_camvid, "train")],
)
def test_pictures_that_are_not_read_are_counted(tmp_path, writer, folder):
    writer(tmp_path)
    for name in ("a.jxl", "b.JXL", "c.psd"):
        (tmp_path / folder / name).write_bytes(b"")
    findings = open_pairs(tmp_path, "train").findings
    assert [(finding.kind, finding.is_fatal, finding.count) for finding in findings] == [("not read", False, 3)]
    assert str(findings[0]) == (
        f"{tmp_path / folder}: 2 .jxl and 1 .psd files in it are not read; convert them to JPEGs or PNGs"
    )
    assert left_out(findings * 2, "DATA") == (
        "3 files are left out (3 x not read): python -m keras_fcn.check DATA says which and why"
    )
    assert left_out((), "DATA") == ""


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".bmp", ".gif", ".npy"])
@pytest.mark.parametrize("writer", [write_cvat, write_folders, write_roboflow, write_camvid])
def test_masks_of_every_kind_are_read(tmp_path, writer, suffix):
    truth = writer(tmp_path)
    for split in ("train", "val"):
        for mask in open_pairs(tmp_path, split).labels:
            with Image.open(mask) as image:
                if suffix != ".npy" or (writer is write_roboflow):
                    image.save(mask.with_suffix(".tif" if suffix == ".npy" else suffix))
                else:
                    np.save(mask.with_suffix(suffix), np.asarray(image.convert("L" if image.mode == "L" else "RGB")))
            mask.unlink()
    pairs = open_pairs(tmp_path, "train")
    assert pairs.findings == ()
    require_truth(pairs, truth)


def test_a_mask_is_read_as_a_png_if_it_is_there_as_one_and_as_others(tmp_path):
    truth = write_folders(tmp_path)
    for name in NAMES:
        np.save(tmp_path / f"masks/{name}.npy", np.zeros((1, 1)))
    pairs = open_pairs(tmp_path, "train")
    require_truth(pairs, truth)
    (finding,) = pairs.findings
    line = f"{tmp_path / 'masks'}: 10 .npy files in it are not read, since .png has the same name"
    assert (finding.kind, finding.count, str(finding)) == ("not read", 10, line)
    convert(tmp_path / f"masks/{NAMES[0]}.png", ".tif")
    with pytest.raises(UserError, match=r"kitchen.tif and kitchen.npy have the same name; rename or remove one$"):
        open_pairs(tmp_path, "train")


def test_masks_that_are_not_read_are_counted(tmp_path):
    write_folders(tmp_path)
    for name in NAMES[:3]:
        convert(tmp_path / f"masks/{name}.png", ".webp")
    findings = open_pairs(tmp_path, "train").findings
    assert sorted((finding.kind, finding.count) for finding in findings) == [("not read", 3), *[("photo alone", 1)] * 3]
    assert f"{tmp_path / 'masks'}: 3 .webp files in it are not read; convert them to PNGs" in map(str, findings)
    for path in (tmp_path / "masks").glob("*.png"):
        convert(path, ".jpg")
    with pytest.raises(UserError, match=r"masks: holds no masks, but 7 .jpg and 3 .webp; export the masks as PNGs$"):
        open_pairs(tmp_path, "train")


def test_a_folder_of_unread_pictures_says_so(tmp_path):
    write_folders(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_suffix(".jxl"))
    with pytest.raises(UserError, match=r"images: holds no images, but 10 .jxl; convert them to JPEGs or PNGs$"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize(
    ("writer", "images", "masks"),
    [
        (write_cvat, "JPEGImages", "SegmentationClass"),
        (write_folders, "images", "masks"),
        (write_camvid, "train", "trainannot"),
    ],
)
def test_folders_in_folders_are_read_and_linked_ones_too(tmp_path, writer, images, masks):
    truth = writer(tmp_path / "set")
    if writer is write_cvat:
        (tmp_path / "set/ImageSets/Segmentation/default.txt").unlink()
    for kind, index in ((images, 0), (masks, 1)):
        for where in ("set/{}/day", "elsewhere/{}"):
            save(tmp_path / where.format(kind) / "x.png", scene(3, 3)[0] if index == 0 else truth[NAMES[0]])
        (tmp_path / "set" / kind / "linked").symlink_to(tmp_path / "elsewhere" / kind)
        (tmp_path / "set" / kind / "circle").symlink_to(tmp_path / "set")
    pairs = open_pairs(tmp_path / "set", "all" if writer is not write_camvid else "train")
    assert {"day/x", "linked/x"} <= {path.relative_to(tmp_path / "set" / images).with_suffix("").as_posix()
                                     for path in pairs.images}  # fmt: skip
    assert pairs.findings == ()


def test_walking_follows_links_but_no_circles(tmp_path):
    for name in ("a/1.jpg", "a/b/2.jpg", "store/3.jpg", "a/.hidden/4.jpg", "a/__MACOSX/5.jpg", "a/.6.jpg"):
        write(tmp_path / name, "")
    (tmp_path / "a/store").symlink_to("../store")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "store/back").symlink_to("../a")
    (tmp_path / "a/itself").symlink_to("itself")
    (tmp_path / "a/gone.jpg").symlink_to("nowhere.jpg")
    found = [path.relative_to(tmp_path / "a").as_posix() for path in walk_files(tmp_path / "a")]
    assert found == ["1.jpg", "b/2.jpg", "gone.jpg", "itself", "store/3.jpg"]
    with pytest.raises(UserError, match=r"nowhere: cannot be listed \(No such file or directory\)$"):
        list(walk_files(tmp_path / "nowhere"))


def test_files_of_a_suffix_are_those_of_a_pattern(tmp_path):
    """In a folder and two levels of folders, links included, level by level; `glob` is the truth."""
    names = ["b.json", "a/b.json", "a/a.json", "a/b/c.json", "a/b/c/d.json", ".h.json", "a/.i/j.json", "x.png/y.json"]
    for name in (*names, "z.JSON", "a/__MACOSX/k.json"):
        write(tmp_path / name, "{}")
    (tmp_path / "f.json").mkdir()
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "gone.json").symlink_to("nowhere")
    expected = []
    for pattern in ("*.json", "*/*.json", "*/*/*.json"):
        found = sorted(path for path in tmp_path.glob(pattern) if path.is_file())
        inner = (path.relative_to(tmp_path).as_posix() for path in found)
        expected += [name for name in inner if not re.search(r"(^|/)(\.|__MACOSX)", name)]
    assert [path.relative_to(tmp_path).as_posix() for path in files_named(tmp_path, ".json")] == expected
    assert len(expected) == 7
    assert list(files_named(tmp_path / "nowhere", ".json")) == []


@pytest.mark.parametrize("writer", [write_cvat, write_folders, write_camvid])
def test_folders_are_listed_once_for_all_splits(tmp_path, monkeypatch, writer):
    writer(tmp_path)
    alone = [open_pairs(tmp_path, split) for split in ("train", "val")]
    listed = []
    monkeypatch.setattr(files, "entries_of", lambda folder: listed.append(folder) or entries_of(folder))
    together = open_splits(tmp_path, ["train", "val"])
    pictures = [folder for folder in listed if any(map(is_picture, map(str, folder.iterdir())))]
    assert pictures
    assert len(pictures) == len(set(pictures))
    for mine, both in zip(alone, together):
        assert (both.images, both.labels, both.note) == (mine.images, mine.labels, mine.note)
    for place in (together[0].images[0].parent, together[1].images[0].parent):
        (place / "added.psd").write_bytes(b"")
    assert len(open_splits(tmp_path, ["train"])[0].findings) > len(together[0].findings)


def test_a_link_to_a_missing_image_is_a_fault(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "images/f.jpg").unlink()
    (tmp_path / "images/f.jpg").symlink_to("gone.jpg")
    with pytest.raises(
        UserError, match=r"images/f.jpg: leads to gone.jpg, which does not exist; put that back, or remove the link$"
    ):
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
