import json
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from keras_fcn import Predictor, build_fcn, show
from keras_fcn.datasets import open_pairs
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.drawing.overlays import overlay_with_legend
from keras_fcn.errors import UserError
from keras_fcn.evaluation.evaluate import evaluate, require_same_classes
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.tables import format_metrics
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.engines.opening import find_model
from keras_fcn.inference.models import load_model


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (61, 83, 3), np.uint8)


def test_predictions_are_the_argmax_of_the_logits(trained, photo):
    logits = np.asarray(load_model(trained / "best.keras")(photo[None].astype(np.float32)))[0]
    ids = Predictor.open(trained)(photo)
    assert (ids.shape, ids.dtype) == ((61, 83), np.uint8)
    np.testing.assert_array_equal(ids, logits.argmax(axis=-1))


def test_run_keras_file_and_saved_model_give_the_same_mask(trained, exported, photo):
    expected = Predictor.open(trained)(photo)
    for path in (trained / "best.keras", exported, exported / "1"):
        predictor = Predictor.open(path)
        assert predictor.classes == ClassTable.voc()
        np.testing.assert_array_equal(predictor(photo), expected)


def test_a_predictor_takes_models_and_paths_arrays_and_pillow_images(trained, photo, tmp_path):
    model = load_model(trained / "best.keras")
    expected = Predictor.open(trained)(photo)
    for given in (model, trained, str(trained / "best.keras")):
        np.testing.assert_array_equal(Predictor(given)(photo), expected)
    Image.fromarray(photo).save(tmp_path / "a.png")
    turned = Image.Exif()
    turned[0x112] = 6  # shown a quarter turn clockwise
    Image.fromarray(np.rot90(photo)).save(tmp_path / "turned.png", exif=turned)
    predictor = Predictor(model)
    opaque = np.dstack([photo, np.full(photo.shape[:2], 9, np.uint8)])
    forms = [photo, opaque, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(photo)]
    forms += [tmp_path / "turned.png", Image.open(tmp_path / "turned.png")]
    for mask in predictor(forms):
        np.testing.assert_array_equal(mask, expected)
    first, other = predictor.probabilities([photo, photo[:9]])
    np.testing.assert_array_equal(first.argmax(axis=-1), expected)
    assert other.shape == (9, 83, 21)
    grey = photo[..., 0]
    np.testing.assert_array_equal(predictor(grey), predictor(np.dstack([grey] * 3)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((2, 2, 3)), r"images are arrays of uint8, 0 to 255. Received: float64 \[2, 2, 3\]"),
        (
            np.zeros((1, 2, 2, 3), np.uint8),
            r"have the shape \[H, W, 3\]; give several as a list. Received: \[1, 2, 2, 3\]",
        ),
        ("none.jpg", "none.jpg: no such file"),
    ],
)
def test_what_is_no_image_is_named(wrong, message):
    predictor = Predictor(lambda images: images[..., 0], ClassTable.voc())
    with pytest.raises(UserError, match=message):
        predictor(wrong)
    with pytest.raises(UserError, match="takes a model or a path, or a function and its classes"):
        Predictor(lambda images: images)


def test_an_auxiliary_head_is_left_out():
    model = build_fcn("fcn32s", "mobilenet_v2", num_classes=3, auxiliary=True)
    image = np.full((40, 50, 3), 9, np.uint8)
    expected = np.asarray(model(image[None].astype(np.float32))[0])[0].argmax(axis=-1)
    np.testing.assert_array_equal(Predictor(model)(image), expected)


def test_show_draws_a_mask_over_its_image(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    ids = np.zeros((61, 83), np.uint8)
    ids[20:40, 20:60] = 8
    picture = show(tmp_path / "a.png", ids)
    assert picture.tobytes() == overlay_with_legend(photo, ids, ClassTable.voc()).tobytes()
    assert picture.tobytes() != show(photo, ids, palette="colorblind").tobytes()
    ids[0, 0], ids[1, 1] = 30, 255
    assert show(photo, ids).width >= 83  # as wide as the longest name of the legend


def test_a_folder_of_versions_stands_for_the_newest(trained, exported, tmp_path):
    for version in ("2", "10"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").write_bytes(b"")
    (tmp_path / "11").mkdir()  # being copied: nothing in it yet
    assert find_model(tmp_path) == tmp_path / "10"


def other_model(tmp_path):
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="other").save(tmp_path / "other.keras")
    return tmp_path / "other.keras"


def damaged_model(tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"PK not a model")
    return tmp_path / "bad.keras"


def model_of_tomorrow(tmp_path, version="97.3.1"):
    """A `.keras` file that this Keras cannot read."""
    with zipfile.ZipFile(tmp_path / "new.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps({"module": "keras", "class_name": "NeverSeen", "config": {}}))
        archive.writestr("model.weights.h5", b"")
    return tmp_path / "new.keras"


def model_of_yesterday(tmp_path):
    return model_of_tomorrow(tmp_path, "3.1.0")


def unfinished_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    return tmp_path / "run"


def foreign_saved_model(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1/saved_model.pb").write_bytes(b"\x00\x01")
    return tmp_path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tmp_path: tmp_path / "none", "none: no such file or folder; give a run folder, a .keras or .pth file"),
        (lambda tmp_path: tmp_path, "is neither a run folder .* nor a SavedModel"),
        (unfinished_run, "best.keras: no such file: the run has not finished an epoch; resume with python train.py"),
        (damaged_model, r"bad.keras: cannot be loaded as a .keras model \("),
        (
            model_of_tomorrow,
            rf"was saved by Keras 97.3.1, which Keras {keras.__version__} here cannot read; pip install ",
        ),
        (model_of_yesterday, r"new.keras: holds NeverSeen of keras, which is none of the layers that are loaded"),
        (other_model, "other.keras: model 'other' was not built by keras_fcn.build_fcn"),
        (foreign_saved_model, "is no SavedModel of python -m export.saved_model"),
    ],
)
def test_what_is_no_model_is_named(tmp_path, make, message):
    with pytest.raises(UserError, match=message) as caught:
        Predictor.open(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_evaluation_adds_up_all_whole_images(toy):
    """A "model" that only knows the brightness of a pixel, against metrics computed with Pillow and NumPy."""
    pairs = read_voc(toy, "val")

    def segment(images):
        return np.where(images.numpy().mean(axis=-1) > 127, 8, 0).astype(np.uint8)

    hits, seen, right, image_mean_iou = np.zeros(21), np.zeros(21), 0, {}
    matrix = np.zeros((21, 21), int)
    for image, label in zip(pairs.images, pairs.labels):
        labels = np.asarray(Image.open(label))
        prediction = np.where(np.asarray(Image.open(image)).mean(axis=-1) > 127, 8, 0)[labels < 255]
        labels = labels[labels < 255]
        right += (labels == prediction).sum()
        np.add.at(matrix, (labels, prediction), 1)
        both = np.array([((labels == index) & (prediction == index)).sum() for index in range(21)])
        either = np.array([((labels == index) | (prediction == index)).sum() for index in range(21)])
        image_mean_iou[image.stem] = np.mean([b / e for b, e in zip(both, either) if e])
        hits, seen = hits + both, seen + either
    results = evaluate(segment, pairs).to_json()
    assert results["images"] == 3
    assert results["confusion_matrix"] == matrix.tolist()
    assert results["image_mean_iou"] == pytest.approx(image_mean_iou)
    assert {name for name, value in results["iou"].items() if value is None} == {
        name for name, pixels in zip(pairs.classes.names, seen) if pixels == 0
    }
    present = seen > 0
    np.testing.assert_allclose([v for v in results["iou"].values() if v is not None], hits[present] / seen[present])
    assert results["mean_iou"] == pytest.approx((hits[present] / seen[present]).mean())
    valid = sum((np.asarray(Image.open(path)) < 255).sum() for path in pairs.labels)
    assert results["pixel_accuracy"] == pytest.approx(right / valid)


def test_an_image_without_valid_pixels_is_left_out_and_images_of_one_name_are_kept_apart(tmp_path):
    """Four pixels each: all void; half of them right. The sum has the second image's metrics alone."""
    labels = {"kitchen/a": np.full((2, 2), 255, np.uint8), "hall/a": np.array([[0, 1], [0, 1]], np.uint8)}
    for name, label in labels.items():
        for folder, pixels in (("JPEGImages", np.zeros((2, 2, 3), np.uint8)), ("SegmentationClass", label)):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (tmp_path / "class_names.txt").write_text("_background_\ndoor\n")
    pairs = open_pairs(tmp_path, "all")
    evaluation = evaluate(lambda images: np.zeros(images.shape[:3], np.uint8), pairs)
    results = evaluation.to_json()
    assert results["image_mean_iou"] == {"hall/a": 0.25, "kitchen/a": None}
    assert results["confusion_matrix"] == [[2, 0], [2, 0]]
    assert results["mean_iou"] == 0.25
    assert json.loads(json.dumps(results)) == results
    assert "25.0" in format_metrics(evaluation)


def test_the_table_shows_metrics_and_absent_classes():
    matrix = np.array([[6, 2, 0], [0, 8, 0], [0, 0, 0]])
    table = format_metrics(Evaluation(("sky", "tree", "road"), 2, matrix, {}))
    lines = [line.split() for line in table.splitlines()]
    assert ["sky", "75.0", "100.0", "75.0"] in lines
    assert ["tree", "80.0", "80.0", "100.0"] in lines
    assert ["mean", "IoU", "77.5"] in lines
    assert ["pixel", "accuracy", "87.5"] in lines
    assert ["mean", "accuracy", "87.5"] in lines
    assert ["frequency-weighted", "IoU", "77.5"] in lines
    assert "Neither in the ground truth nor predicted, so in no mean:" in table
    assert lines[-1] == ["road"]


def test_other_classes_than_the_models_are_named():
    data = ClassTable.numbered(3)
    model = ClassTable(("background", "shirt", "class2"), data.colors)
    with pytest.raises(UserError, match="class 1 is 'shirt' in the model and 'class1' in the data"):
        require_same_classes(model, data)
    with pytest.raises(UserError, match=r"has 3 classes, the data 2: class 2 is 'class2' .* and 'missing' in the data"):
        require_same_classes(data, ClassTable.numbered(2))
    with pytest.raises(UserError, match=r"use data with the model's classes$"):  # of an export, or a submission
        require_same_classes(model, data)
    with pytest.raises(UserError, match=r"or make them so: merge, ignore_classes, drop$"):
        require_same_classes(model, data, takes_wanted=True)
    require_same_classes(data, data)


@pytest.mark.parametrize("suffix", [".keras", ".npz"])
def test_an_archive_of_a_newer_version_of_zip_is_one_line(tmp_path, suffix):
    """Its entry says that 6.4 is needed to extract it."""
    path = tmp_path / f"a{suffix}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 4), (b"PK\x01\x02", 6)):
        content[content.index(mark) + offset] = 64
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"zip file version 6\.4") as caught:
        Predictor(path)
    assert "\n" not in str(caught.value)
