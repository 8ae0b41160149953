import dataclasses
import itertools
import os
import re
import shutil

import numpy as np
import pytest
from kinds_of_files import PHOTOS, shown, write_photo
from layouts import NAMES, write_cvat, write_folders
from PIL import Image

from keras_fcn.datasets import Pairs, open_pairs
from keras_fcn.datasets.labels.reading import read_mapped, stored_values
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.datasets.pairs import reader
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_color_label, read_grey_label, read_label, read_value_label, write_label
from keras_fcn.images.photos import read_image
from keras_fcn.pipeline import reader as reading
from keras_fcn.pipeline.augmentation import Augmentation, draw_samples
from keras_fcn.pipeline.batches import evaluation_dataset, explain_failure, training_dataset
from keras_fcn.pipeline.label_png import Kind
from keras_fcn.pipeline.reader import Reader
from keras_fcn.runs.known_files import KnownFiles, remembering


def take(pairs, batches, seed=3, first_sample=0, crop_size=(16, 24), batch_size=4):
    """Returns images and labels of the first batches, joined: uint8 [N, H, W, 3] and [N, H, W]."""
    dataset = training_dataset(pairs, Augmentation(crop_size), batch_size, seed, first_sample)
    images, labels = zip(*itertools.islice(dataset.as_numpy_iterator(), batches))
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture
def plain_pairs(tmp_path):
    """Returns seven pairs: all pixels of the i-th have class i, and its image the grey value 10 * i."""
    paths = {"images": [], "labels": []}
    for index in range(7):
        size = (20 + index, 40 - index)
        paths["images"].append(tmp_path / f"{index}.png")
        paths["labels"].append(tmp_path / f"{index}_label.png")
        Image.fromarray(np.full((*size, 3), 10 * index, np.uint8)).save(paths["images"][-1])
        write_label(paths["labels"][-1], np.full(size, index, np.uint8), ClassTable.voc())
    classes = ClassTable.voc()
    return Pairs("plain", "train", tuple(paths["images"]), tuple(paths["labels"]), classes, reader(read_label, classes))


def test_each_epoch_shows_every_pair_once_in_its_own_order(plain_pairs):
    _, labels = take(plain_pairs, batches=7)
    epochs = labels[:, 0, 0].reshape(4, 7)
    assert [sorted(order) for order in epochs.tolist()] == [list(range(7))] * 4
    assert len({tuple(order) for order in epochs.tolist()}) == 4


def test_image_and_label_stay_together(plain_pairs):
    images, labels = take(plain_pairs, batches=4)
    np.testing.assert_array_equal(images[..., 0], 10 * labels)
    np.testing.assert_array_equal(images[..., 2], 10 * labels)


def test_labels_are_cropped_and_flipped_with_their_images(toy):
    """The colours of a mask, read as an image, must end up on the same pixels as its ids."""
    pairs = read_voc(toy, "train")
    masks = dataclasses.replace(pairs, images=pairs.labels)
    images, labels = take(masks, batches=5, crop_size=(64, 200))
    void = labels == 255  # drawn void borders and padding, which differ in the image
    assert 0 < void.mean() < 1
    np.testing.assert_array_equal(images[~void], pairs.classes.palette()[labels[~void]])


def test_ids_go_by_the_mapping_of_classes_in_the_graph(toy):
    before, pairs = open_pairs(toy, "val"), open_pairs(toy, "val", merge=["cat+dog=pet"], ignore_classes=["background"])
    ids = np.array(pairs.label_ids, np.uint8)
    assert Reader(pairs).kinds == [Kind.IDS]
    for (_, label), path in zip(evaluation_dataset(pairs), before.labels, strict=True):
        np.testing.assert_array_equal(label[0], ids[before.read_label(path)])
        assert (label.numpy() == 255).any()


def test_the_stream_continues_from_any_sample(toy):
    pairs = read_voc(toy, "train")
    images, labels = take(pairs, batches=6)
    later_images, later_labels = take(pairs, batches=3, first_sample=12)
    np.testing.assert_array_equal(images[12:], later_images)
    np.testing.assert_array_equal(labels[12:], later_labels)


def test_another_seed_shows_other_samples(toy):
    pairs = read_voc(toy, "train")
    images, _ = take(pairs, batches=2, seed=1)
    others, _ = take(pairs, batches=2, seed=2)
    assert (images != others).any()


def test_evaluation_shows_every_image_whole_and_as_pillow_decodes_it(toy):
    pairs = read_voc(toy, "val")
    batches = list(evaluation_dataset(pairs).as_numpy_iterator())
    assert len(batches) == 3
    for (image, label), image_path, label_path in zip(batches, pairs.images, pairs.labels):
        with Image.open(image_path) as photo, Image.open(label_path) as mask:
            np.testing.assert_array_equal(image[0], np.asarray(photo))
            np.testing.assert_array_equal(label[0], np.asarray(mask))


def test_images_of_every_kind_reach_the_network_as_viewers_show_them(tmp_path):
    photos = [write_photo(tmp_path, name) for name in PHOTOS]
    classes = ClassTable.voc()
    masks = [tmp_path / f"mask {index}.png" for index in range(len(photos))]
    for photo, mask in zip(photos, masks):
        write_label(mask, np.zeros(read_image(photo).shape[:2], np.uint8), classes)
    pairs = Pairs("plain", "train", tuple(photos), tuple(masks), classes, reader(read_label, classes))
    seen = list(evaluation_dataset(pairs).as_numpy_iterator())
    assert len(seen) == len(PHOTOS) > 20
    for (image, label), photo in zip(seen, photos):
        np.testing.assert_array_equal(image[0], shown(photo), err_msg=photo.name)
        assert image.shape[:3] == label.shape


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".npy"])
def test_masks_of_every_kind_are_read(tmp_path, suffix):
    truth = write_folders(tmp_path, NAMES[:3])
    for mask in sorted((tmp_path / "masks").iterdir()):
        ids = np.asarray(Image.open(mask))
        if suffix == ".npy":
            np.save(mask.with_suffix(suffix), ids.astype(np.int64))
        else:
            Image.fromarray(ids.astype(np.int32 if suffix == ".tif" else np.uint8)).save(mask.with_suffix(suffix))
        mask.unlink()
    pairs = open_pairs(tmp_path, "all")
    for (_, label), name in zip(evaluation_dataset(pairs).as_numpy_iterator(), pairs.names, strict=True):
        np.testing.assert_array_equal(label[0], truth[name])


def test_names_in_any_script_can_be_read(tmp_path):
    truth = write_cvat(tmp_path, NAMES)
    pairs = open_pairs(tmp_path, "all")
    seen = list(evaluation_dataset(pairs).as_numpy_iterator())
    assert len(seen) == len(NAMES)
    for (image, label), name in zip(seen, NAMES):
        np.testing.assert_array_equal(label[0], truth[name])
        np.testing.assert_array_equal(image[0], read_image(tmp_path / f"JPEGImages/{name}.jpg"))


def test_a_file_that_breaks_during_training_is_named(plain_pairs):
    Image.new("RGB", (33, 26), (1, 2, 3)).save(plain_pairs.labels[6])
    with pytest.raises(UserError, match=r"6_label.png: colour \(1, 2, 3\)"), explain_failure(plain_pairs):
        take(plain_pairs, batches=2)


@pytest.fixture
def drawn(toy, tmp_path):
    """Two pairs of JPEG and palette PNG, which TensorFlow decodes, to be changed."""
    pairs = read_voc(toy, "train")
    folder = shutil.copytree(toy, tmp_path / "toy")
    images, labels = ([folder / path.relative_to(toy) for path in paths[:2]] for paths in (pairs.images, pairs.labels))
    return dataclasses.replace(pairs, images=tuple(images), labels=tuple(labels))


def halve(path):
    with Image.open(path) as image:
        image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST).save(path)


def turn(path):
    with Image.open(path) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def claim_turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)


@pytest.mark.parametrize("kind", ["images", "labels"])
@pytest.mark.parametrize("change", [halve, turn, cut, claim_turned, os.remove])
def test_a_pair_that_no_longer_fits_while_training_runs_is_named(drawn, kind, change):
    stream = training_dataset(drawn, Augmentation((16, 24)), 1, 3)
    path = getattr(drawn, kind)[1]
    change(path)
    with pytest.raises(UserError, match=re.escape(path.name)), explain_failure(drawn):
        list(itertools.islice(stream.as_numpy_iterator(), 4))


def test_an_image_turned_by_exif_while_training_runs_is_read_upright(drawn):
    """A half turn does not change its size: only the start of the file does."""
    expected = read_image(drawn.images[0])[::-1, ::-1]
    stream = evaluation_dataset(drawn)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0" + bytes(4)
    data = drawn.images[0].read_bytes()
    drawn.images[0].write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    image, _ = next(stream.as_numpy_iterator())
    np.testing.assert_array_equal(image[0], expected)


def test_a_pair_that_is_sound_again_when_it_is_looked_at_is_named(drawn):
    stream = training_dataset(drawn, Augmentation((16, 24)), 1, 3)
    before = drawn.labels[1].read_bytes()
    halve(drawn.labels[1])

    def read():
        try:
            list(itertools.islice(stream.as_numpy_iterator(), 4))
        finally:
            drawn.labels[1].write_bytes(before)

    with pytest.raises(UserError, match="changed while it was read"), explain_failure(drawn):
        read()


def test_a_function_that_makes_sizes_differ_is_named(drawn):
    augmentation = Augmentation((16, 24), augment=lambda image, label, seed: (image[1:], label))
    with pytest.raises(UserError, match=r"^augment returned an image and a label of diff"), explain_failure(drawn):
        next(training_dataset(drawn, augmentation, 1, 3).as_numpy_iterator())
    halve(drawn.labels[0])
    with pytest.raises(UserError, match="export the mask at the image's own size"):
        draw_samples(drawn, Augmentation((16, 24)))


def test_images_without_mask_are_background(tmp_path):
    write_cvat(tmp_path)
    for name in NAMES[1:]:
        (tmp_path / f"SegmentationClass/{name}.png").unlink()
    pairs = open_pairs(tmp_path, "default", unlabelled="background")
    labels = [label.numpy()[0] for _, label in evaluation_dataset(pairs)]
    assert [label.any() for label in labels] == [True, *[False] * 9]
    shapes = [read_image(image).shape[:2] for image in pairs.images]
    assert [label.shape for label in labels] == shapes


VALUES = np.array([[0, 1, 20, 255], [15, 15, 7, 0], [3, 2, 1, 0]], np.uint8)


def saved(path, values, mode="L", **options):
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768, np.uint8).tobytes())
    image.save(path, **options)


TURNED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0" + bytes(4)


@pytest.mark.parametrize("ids", [tuple(range(256)), (5, *range(1, 21), *[254] * 234, 255)])
def test_masks_of_values_are_decoded_by_tensorflow_as_by_pillow(tmp_path, ids):
    deep = VALUES.astype(np.uint16)
    kinds = [
        (Kind.GREYS, VALUES, {}),
        (Kind.INDICES, VALUES, {"mode": "P"}),
        (Kind.GREYS_16, deep, {}),
        (Kind.GREYS_16, np.where(deep == 255, 65535, deep), {}),
        (Kind.OTHER, VALUES, {"exif": TURNED}),
        (Kind.OTHER, VALUES, {"transparency": 20}),
    ]
    classes = ClassTable.voc()
    read = reader(read_value_label, classes, ids)
    image = tmp_path / "image.jpg"
    Image.new("RGB", (4, 3)).save(image)
    masks = tuple(tmp_path / f"{number}.png" for number in range(len(kinds)))
    for mask, (kind, values, options) in zip(masks, kinds):
        saved(mask, values, **options)
        assert Reader(Pairs("plain", "val", (image,), (mask,), classes, read)).kinds == [kind]
    pairs = Pairs("plain", "val", (image,) * len(masks), masks, classes, read)
    expected = np.where(VALUES == 0, ids[0], VALUES)
    for (_, label), mask in zip(evaluation_dataset(pairs).as_numpy_iterator(), masks, strict=True):
        np.testing.assert_array_equal(label[0], read(mask), str(mask))
        np.testing.assert_array_equal(label[0], expected[::-1, ::-1] if mask.name == "4.png" else expected)


def test_files_that_are_known_are_not_opened_and_changed_ones_are(tmp_path, monkeypatch):
    """As a resumed run looks at them."""
    write_folders(tmp_path / "data")
    pairs = open_pairs(tmp_path / "data", "all")
    first = list(evaluation_dataset(pairs).as_numpy_iterator())
    with remembering(KnownFiles("1")) as known:
        kinds = Reader(pairs).kinds
    known.write(tmp_path / "files.json")
    opened = []
    for name in ("kind_of", "is_plain_jpeg"):
        look = getattr(reading, name)
        monkeypatch.setattr(reading, name, lambda path, look=look, **by: opened.append(path) or look(path, **by))
    with remembering(KnownFiles.read(tmp_path / "files.json", "1")):
        assert Reader(pairs).kinds == kinds
        again = list(evaluation_dataset(pairs).as_numpy_iterator())
    assert opened == []
    for (image, label), (image_again, label_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(label, label_again)
    Image.open(pairs.labels[1]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pairs.labels[1])
    with remembering(KnownFiles.read(tmp_path / "files.json", "1")):
        changed = list(evaluation_dataset(pairs).as_numpy_iterator())
    assert opened == [pairs.labels[1]]
    np.testing.assert_array_equal(changed[1][1][0], pairs.read_label(pairs.labels[1]))


@pytest.mark.parametrize(("bits", "wrong"), [(8, 3), (8, 21), (16, 3), (16, 300)])
def test_values_that_are_no_class_are_named(tmp_path, bits, wrong):
    """As Pillow's way does: a value that stands for nothing, and one that is above all ids."""
    classes = ClassTable.voc()
    Image.new("RGB", (4, 3)).save(tmp_path / "image.jpg")
    saved(tmp_path / "mask.png", np.full((3, 4), wrong, f"uint{bits}"))
    read = reader(read_value_label, classes, (0, 1, 2, 254, *range(4, 21), *[254] * 234, 255))
    pairs = Pairs("plain", "val", (tmp_path / "image.jpg",), (tmp_path / "mask.png",), classes, read)
    with pytest.raises(UserError, match=rf"mask\.png.*{wrong}"), explain_failure(pairs):
        list(evaluation_dataset(pairs).as_numpy_iterator())


def test_what_values_mean_is_what_their_readers_read(tmp_path):
    """All values of 16 bits, each in a mask of its own column."""
    classes = ClassTable.voc()
    grey = (3, 2, *[254] * 253, 255)
    readers = [
        reader(read_label, classes),
        reader(read_value_label, classes, grey, 256),
        reader(read_value_label, classes, tuple(range(256)), 1000),
        reader(read_grey_label, classes, grey),
        reader(read_mapped, reader(read_grey_label, classes, grey), (0, 0, 9, 255, *range(4, 256))),
    ]
    for read in readers:
        found = stored_values(read)
        for value in (0, 1, 2, 20, 21, 255, 256, 257, 511, 512, 999, 1000, 1999, 20999, 21000, 65280, 65534, 65535):
            Image.fromarray(np.full((1, 1), value, np.uint16)).save(tmp_path / "mask.png")
            try:
                expected = int(read(tmp_path / "mask.png")[0, 0])
            except DataError:
                expected = None
            known = {*range(classes.num_classes), 255}
            assert (int(found.ids[value]) if found.ids[value] in known else None) == expected, (read, value)
    assert [stored_values(read).of_palettes for read in readers] == [False, True, True, False, False]
    assert stored_values(reader(read_color_label, classes)) is None
    assert stored_values(lambda path: None) is None
