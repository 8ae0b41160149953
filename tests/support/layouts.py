"""Tiny data sets in the tools' formats; each function returns the ids of every mask by name."""

import functools
import hashlib

import numpy as np
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.toy import draw_scene

NAMES = ["kitchen", "a photo with blanks", "厨房", "été 🐈", "e.v1", "f", "g", "h", "i", "j"]
"""Names of images as users give them."""

LABELMAP = """# label:color_rgb:parts:actions
cat:255,0,0::

猫 🐈:1,2,3::
__ignore__:9,9,9::
background:10,20,30::
garden chair : 0, 255, 255 : leg,arm : sit
"""
CVAT_NAMES = ("background", "cat", "猫 🐈", "garden chair")
CVAT_COLORS = ((10, 20, 30), (255, 0, 0), (1, 2, 3), (0, 255, 255))
CVAT_VOID = (9, 9, 9)


_drawn = functools.cache(lambda seed: draw_scene(np.random.default_rng(seed)))


def scene(seed, num_classes):
    """Returns an image uint8 [H, W, 3] and its ids uint8 [H, W], with every class and void."""
    image, label = _drawn(seed)
    ids = np.where(label == 255, 255, label % num_classes).astype(np.uint8)
    ids[0, : num_classes + 1] = [*range(num_classes), 255]
    return image.copy(), ids


def painted(ids, colors, void):
    """Returns the colours of ids, uint8 [H, W, 3]."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    table[255] = void
    return table[ids]


def save(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def write(path, text, newline="\n", bom=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.replace("\n", newline).encode()
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + data)


def write_cvat(root, names=NAMES, lists=("default",), newline="\n", bom=False):
    write(root / "labelmap.txt", LABELMAP, newline, bom)
    truth = {}
    for seed, name in enumerate(names):
        photo, truth[name] = scene(seed, 4)
        save(root / f"JPEGImages/{name}.jpg", photo)
        save(root / f"SegmentationClass/{name}.png", painted(truth[name], CVAT_COLORS, CVAT_VOID))
        save(root / f"SegmentationObject/{name}.png", painted(truth[name], CVAT_COLORS, CVAT_VOID))
    for index, split in enumerate(lists):
        lines = "".join(f"{name}\n" for name in names[index :: len(lists)])
        write(root / f"ImageSets/Segmentation/{split}.txt", lines, newline, bom)
    return truth


def voc_colors():
    """Returns the palette of VOC, computed bit by bit, as a list of 768 numbers."""
    palette = []
    for index in range(256):
        bits = f"{index:08b}"[::-1]
        palette += [int("".join(bits[channel::3]).ljust(8, "0"), 2) for channel in range(3)]
    return palette


def write_labelme(root, names=NAMES, text="__ignore__\n_background_\ncat\n猫\n"):
    write(root / "class_names.txt", text)
    truth = {}
    for seed, name in enumerate(names):
        photo, truth[name] = scene(seed, 3)
        save(root / f"JPEGImages/{name}.jpg", photo)
        save(root / f"SegmentationClass/{name}.png", truth[name], voc_colors())
        save(root / f"SegmentationClassVisualization/{name}.jpg", photo)
        (root / "SegmentationClassNpy").mkdir(exist_ok=True)
        np.save(root / f"SegmentationClassNpy/{name}.npy", truth[name])
    return truth


ROBOFLOW_VALUES = np.array([0, 3, 7])


def write_roboflow(root, names=NAMES, text="Pixel Value, Class\n7, chair\n0, background\n3, cat\n"):
    truth = {}
    for folder, part in (("train", names[:6]), ("valid", names[6:8]), ("test", names[8:])):
        write(root / folder / "_classes.csv", text)
        for seed, name in enumerate(part):
            photo, truth[name] = scene(seed, 3)
            values = np.where(truth[name] == 255, 255, ROBOFLOW_VALUES[truth[name] % 255 % 3]).astype(np.uint8)
            save(root / f"{folder}/{name}.jpg", photo)
            save(root / f"{folder}/{name}_mask.png", values)
    return truth


def write_camvid(root, names=NAMES):
    truth = {}
    for split, part in (("train", names[:6]), ("val", names[6:8]), ("test", names[8:])):
        for seed, name in enumerate(part):
            photo, truth[name] = scene(seed, 11)
            save(root / f"{split}/{name}.png", photo)
            save(root / f"{split}annot/{name}.png", np.where(truth[name] == 255, 11, truth[name]).astype(np.uint8))
    return truth


def write_voc(root, names=NAMES):
    truth = {}
    for seed, name in enumerate(names):
        photo, truth[name] = scene(seed, 21)
        save(root / f"JPEGImages/{name}.jpg", photo)
        save(root / f"SegmentationClass/{name}.png", truth[name], voc_colors())
    write(root / "ImageSets/Segmentation/train.txt", "\n".join(names[:7]))
    write(root / "ImageSets/Segmentation/val.txt", "\n".join(names[7:]))
    return truth


def write_folders(root, names=NAMES, masks="masks", ending="", num_classes=3):
    truth = {}
    for seed, name in enumerate(names):
        photo, truth[name] = scene(seed, num_classes)
        save(root / f"images/{name}.jpg", photo)
        save(root / f"{masks}/{name}{ending}.png", truth[name])
    return truth


def write_cityscapes(root, names=NAMES, kinds=("labelIds",)):
    """Writes masks of the ids 7 (road), 8 (sidewalk), 11 (building), void in several ids, and pictures beside them."""
    values = np.full(256, 3, np.uint8)
    values[:3] = 7, 8, 11
    truth = {}
    for split, part in (("train", names[:7]), ("val", names[7:])):
        for seed, name in enumerate(part):
            photo, label = scene(seed, 3)
            ids = values[label]
            ids[-1, :4], label[-1, :4] = [0, 1, 4, 29], 255
            truth[f"{name}_leftImg8bit"] = label
            save(root / f"leftImg8bit/{split}/ulm/{name}_leftImg8bit.png", photo)
            written = {"labelIds": ids, "labelTrainIds": label, "instanceIds": ids.astype(np.uint16) * 1000}
            for kind in (*kinds, "instanceIds"):
                save(root / f"gtFine/{split}/ulm/{name}_gtFine_{kind}.png", written[kind])
            save(root / f"gtFine/{split}/ulm/{name}_gtFine_color.png", photo)
            write(root / f"gtFine/{split}/ulm/{name}_gtFine_polygons.json", "{}")
    return truth


OBJECTS = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t116\t11\t1\twall    \n2\t0.1\t60\t6\t1\tbuilding, edifice\n"


def write_ade20k(root, names=NAMES):
    write(root / "objectInfo150.txt", OBJECTS)
    truth = {}
    for split, part in (("training", names[:7]), ("validation", names[7:])):
        for seed, name in enumerate(part):
            photo, truth[name] = scene(seed, 2)
            save(root / f"images/{split}/{name}.jpg", photo)
            save(
                root / f"annotations/{split}/{name}.png", np.where(truth[name] == 255, 0, truth[name] + 1).astype("u1")
            )
    return truth


def write_pets(root, names=NAMES):
    values = np.full(256, 3, np.uint8)
    values[:2] = 2, 1
    truth = {}
    for seed, name in enumerate(names):
        photo, truth[name] = scene(seed, 2)
        save(root / f"images/{name}.jpg", photo)
        save(root / f"annotations/trimaps/{name}.png", values[truth[name]])
    return truth


WRITERS = {
    "cityscapes": write_cityscapes,
    "ade20k": write_ade20k,
    "pets": write_pets,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "roboflow": write_roboflow,
    "camvid": write_camvid,
    "voc": write_voc,
    "folders": write_folders,
}


def kinds(pairs):
    return sorted({finding.kind for finding in inspect_pairs(pairs).findings})


def require_truth(pairs, truth, name=lambda path: path.stem):
    """Asserts that images and masks are paired by name, and that each mask is read to its original ids."""
    inspect_pairs(pairs).require_sound()
    for image, label in zip(pairs.images, pairs.labels):
        np.testing.assert_array_equal(pairs.read_label(label), truth[name(image)])


def splits(root, names=("train", "val"), layout="auto"):
    return [set(open_pairs(root, name, layout).names) for name in names]


def digest(root):
    """Returns a digest of the names and contents of all files in a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(root)).encode() + path.read_bytes() for path in files)).digest()
