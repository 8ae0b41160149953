"""Evaluating and comparing as `evaluate.py` does it, and archives for VOC's test server."""

import io
import json
import math
import re
import shutil
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from PIL import Image

from keras_fcn import Predictor, build_fcn
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.datasets import open_pairs, open_voc_images
from keras_fcn.drawing.comparison import draw_comparison
from keras_fcn.errors import UserError
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.evaluation.metrics import TrimapMetrics
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.submission import require_submission, write_submission
from keras_fcn.evaluation.tables import format_comparison, format_metrics, format_worst, model_letters
from keras_fcn.images.classes import ClassTable, voc_palette
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json

VOC = ClassTable.voc()


def by_brightness(images):
    return np.where(np.asarray(images).mean(axis=-1) > 127, 8, 0).astype(np.uint8)


def test_pairs_are_read_to_the_same_without_tensorflow(toy, monkeypatch):
    pairs = open_pairs(toy, "train")
    with_it = evaluate(by_brightness, pairs)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    without = evaluate(by_brightness, pairs)
    np.testing.assert_array_equal(without.confusion_matrix, with_it.confusion_matrix)
    assert (without.image_mean_iou, len(pairs)) == (with_it.image_mean_iou, 10)


def test_a_run_is_evaluated_on_its_own_validation_images(tmp_path):
    def of(options):
        data = options.dataset()
        return data.data, data.layout, data.val_split, data.unlabelled

    settings = TrainConfig(data="images", layout="voc", val_split="late", unlabelled="background")
    run = (RunFolder.create(tmp_path / "run", settings.to_dict()).root,)
    assert of(EvaluateOptions(models=run)) == ("images", "voc", "late", "background")
    assert of(EvaluateOptions(models=run, data="images")) == ("images", "voc", "late", "background")
    assert of(EvaluateOptions(models=run, split="early", layout="cvat")) == ("images", "cvat", "early", "background")
    assert of(EvaluateOptions(models=run, data="others")) == ("others", "auto", "val", "leave_out")


def test_the_trimap_is_evaluated_beside_the_whole(toy):
    """Against boundaries found by comparing the label with itself, shifted by up to three pixels in every direction."""
    pairs = open_pairs(toy, "val")
    matrix = np.zeros((21, 21), int)
    for image, label in zip(pairs.images, pairs.labels):
        labels, prediction = np.asarray(Image.open(label)), by_brightness(np.asarray(Image.open(image)))
        padded, near = np.pad(labels, 3, mode="edge"), np.zeros(labels.shape, bool)
        for y, x in np.ndindex(7, 7):
            near |= padded[y : y + labels.shape[0], x : x + labels.shape[1]] != labels
        counted = near & (labels < 255)
        np.add.at(matrix, (labels[counted], prediction[counted]), 1)
    either = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    iou = {VOC.names[i]: matrix[i, i] / either[i] if either[i] else None for i in range(21)}
    evaluation = evaluate(by_brightness, pairs, trimap_width=3)
    results = evaluation.to_json()
    trimap = results.pop("trimap")
    assert list(trimap) == ["width", "pixel_accuracy", "mean_iou", "iou"]
    assert trimap["iou"] == pytest.approx(iou)
    assert trimap["mean_iou"] == evaluation.trimap.mean_iou
    assert trimap["mean_iou"] == pytest.approx(np.mean([value for value in iou.values() if value is not None]))
    assert trimap["pixel_accuracy"] == pytest.approx(matrix.trace() / matrix.sum())
    assert trimap["width"] == 3
    assert 0 < matrix.sum() < np.sum(results["confusion_matrix"]) / 2
    assert results == evaluate(by_brightness, pairs).to_json()


def test_everything_is_written_for_the_data_of_the_run(trained, tmp_path):
    """Neither data nor split are given: they are those that the run was evaluated on, with the same metrics."""
    call = Call("evaluate.py", trained, "--worst", 2, "--out", tmp_path / "out", "--json", tmp_path / "metrics.json")
    assert (call.status, call.err) == (0, "")
    results = json.loads((tmp_path / "metrics.json").read_text())
    assert results.pop("trimap")["width"] == 5
    assert results == json.loads((trained / "metrics.json").read_text())
    worst = sorted(results["image_mean_iou"].items(), key=lambda item: item[1])[:2]
    assert call.out.splitlines()[-2:] == [f"{100 * iou:6.1f}  {name}" for name, iou in worst]
    for name in ("confusion.png", "worst.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert min(picture.size) > 200


def test_what_should_be_looked_at_is_remarked(toy, tmp_path, monkeypatch):
    """Images of 12 bits in files of 16, and a mask of nothing but void, as the check and training remark them."""
    data = shutil.copytree(toy, tmp_path / "data")
    for path in sorted((data / "JPEGImages").glob("val*"))[1:]:
        Image.fromarray(np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 12).save(path.with_suffix(".png"))
        path.unlink()
    void = data / "SegmentationClass/val_0002.png"
    Image.fromarray(np.full(np.asarray(Image.open(void)).shape, 255, np.uint8)).save(void)
    monkeypatch.setattr(Predictor, "open", lambda *_: Predictor(by_brightness, VOC))
    call = Call("evaluate.py", tmp_path, "--data", data)
    assert call.status == 0
    dark, is_void, much = call.err.splitlines()
    assert dark.startswith(f"{data}/JPEGImages/val_0001.png and 1 more are nearly black: no value of 16 bits is above ")
    assert is_void == "1 of 3 masks of val are all void: val_0002.png"
    assert "of the pixels of val are void" in much
    (data / "ImageSets/Segmentation/test.txt").write_text("val_0000\nval_0001\nval_0002\n")
    call = Call("evaluate.py", tmp_path, "--data", data, "--submission", tmp_path / "x.tgz")
    assert call.status == 0
    assert call.err.startswith(f"{data}/JPEGImages/val_0001.png: is nearly black")
    assert call.err.endswith("bits (and 1 more image)\n")


def test_models_are_compared(trained, exported, toy, tmp_path):
    """A run and its export, which is the same: every difference is 0."""
    words = ["--data", toy, "--json", tmp_path / "metrics.json", "--out", tmp_path / "out"]
    call = Call("evaluate.py", trained, exported, *words)
    assert (call.status, call.err) == (0, "")
    assert call.out.startswith(f"A  {trained}\nB  {exported}\n")
    rows = re.findall(r"^(\S.*?) +(\d+\.\d) +(\d+\.\d) +\(\+0\.0\)$", call.out, re.MULTILINE)
    assert [name for name, _, _ in rows][-5:] == [
        "mean IoU", "pixel accuracy", "mean accuracy", "frequency-weighted IoU", "trimap mean IoU",
    ]  # fmt: skip
    assert all(first == second for _, first, second in rows)
    first, second = json.loads((tmp_path / "metrics.json").read_text())["models"]
    assert (first.pop("model"), second.pop("model")) == (str(trained), str(exported))
    costs = first.pop("cost"), second.pop("cost")
    assert first == second
    size = sum(path.stat().st_size for path in (exported / "1").rglob("*") if path.is_file()) / 1e6
    assert [cost["program"] for cost in costs] == ["Keras", "TensorFlow"]
    assert (costs[0]["agreement"], costs[1]["megabytes"]) == (1, size)
    assert costs[1]["agreement"] > 0.999
    assert re.search(rf"^B +TensorFlow +{size:.1f} +\d+\.\d +\d+\.\d\dx +(100\.00|99\.9\d)%$", call.out, re.MULTILINE)
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")) == [
        "A/confusion.png", "A/worst.png", "B/confusion.png", "B/worst.png", "comparison.png",
    ]  # fmt: skip


def test_flip_scales_and_tiles_reach_the_model(toy, tmp_path, monkeypatch):
    """A model that looks around, to one side more than to the other, so that each option changes something."""

    def probabilities(images):
        means = tf.nn.avg_pool2d(tf.cast(images, tf.float32), 17, 1, "SAME")
        shades = tf.concat([tf.roll(means, 5, axis=2), means, tf.zeros_like(means)], axis=-1) / 9
        return tf.nn.softmax(tf.concat([shades, shades, shades[..., :3]], axis=-1) + tf.range(21.0) / 9)

    def opened(_, options=InferenceOptions()):  # noqa: B008
        return Predictor(
            lambda images: tf.cast(tf.argmax(probabilities(images), -1), tf.uint8), VOC, probabilities
        ).using(options)

    monkeypatch.setattr(Predictor, "open", opened)
    words = ["--flip", "--scales", 0.5, 1, "--tile", 64, 96, "--overlap", 32, "--trimap", 0]
    call = Call("evaluate.py", tmp_path, "--data", toy, "--json", tmp_path / "metrics.json", *words)
    assert (call.status, call.err) == (0, "")
    assert "Trimap" not in call.out
    whole = {"flip": True, "scales": (0.5, 1.0), "tile": (64, 96), "overlap": 32}
    pairs, results = open_pairs(toy, "val"), json.loads((tmp_path / "metrics.json").read_text())
    assert results == evaluate(opened("", InferenceOptions(**whole)).segment, pairs).to_json()
    for without in ({"flip": False}, {"scales": (1.0,)}, {"overlap": 0}, {"tile": None, "overlap": None}):
        other = evaluate(opened("", InferenceOptions(**{**whole, **without})).segment, pairs)
        assert results["confusion_matrix"] != other.confusion_matrix.tolist(), without


def test_a_model_of_other_classes_is_refused_by_name(exported, toy, tmp_path):
    build_fcn("fcn32s", "mobilenet_v2", num_classes=3).save(tmp_path / "other.keras")
    call = Call("evaluate.py", exported, tmp_path / "other.keras", "--data", toy)
    assert (call.status, call.out) == (2, "")
    assert "other.keras has 3 classes, the data 21: class 1 is 'class1' in the model and 'aeroplane'" in call.err
    call = Call(
        "evaluate.py", tmp_path / "other.keras", "--data", toy, "--submission", tmp_path / "x.tgz", "--split", "val"
    )
    assert call.status == 2
    assert "the model has 3 classes, the data 21" in call.err
    assert not (tmp_path / "x.tgz").exists()


def evaluation_of(matrix, trimap=None, image_mean_iou=()):
    return Evaluation(("sky", "tree", "猫", "road"), 2, np.array(matrix), dict(image_mean_iou), trimap)


FIRST = evaluation_of([[6, 2, 0, 0], [0, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])  # IoU 75, 80
SECOND = evaluation_of([[8, 0, 0, 0], [0, 4, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0]])  # IoU 100, 50, and 猫 0 for 4 pixels


def test_the_comparison_by_hand():
    lines = format_comparison(["runs/a", "runs/b"], [FIRST, SECOND]).splitlines()
    words = [line.split() for line in lines]
    assert lines[:2] == ["A  runs/a", "B  runs/b"]
    for expected in (
        ["sky", "75.0", "100.0", "(+25.0)"],
        ["tree", "80.0", "50.0", "(-30.0)"],
        ["猫", "-", "0.0"],
        ["mean", "IoU", "77.5", "50.0", "(-27.5)"],
        ["pixel", "accuracy", "87.5", "75.0", "(-12.5)"],
    ):
        assert expected in words
    assert lines[-2:] == ["Neither in the ground truth nor predicted, so in no mean:", "  road"]


def test_the_table_has_a_column_for_the_trimap():
    trimap = TrimapMetrics(4, 0.6, 0.5, (0.25, math.nan, math.nan, 0.0))
    words = [line.split() for line in format_metrics(evaluation_of(np.diag([1, 1, 0, 0]), trimap)).splitlines()]
    assert ["class", "IoU", "precision", "recall", "trimap", "IoU"] in words
    assert ["sky", "100.0", "100.0", "100.0", "25.0"] in words
    assert ["tree", "100.0", "100.0", "100.0", "-"] in words
    assert ["trimap", "mean", "IoU", "50.0"] in words


def test_an_evaluation_is_read_back(tmp_path):
    """Keys and order of metrics.json by hand; a run of before precision and recall were written has them, too."""
    trimap = TrimapMetrics(4, 0.6, 0.5, (0.25, math.nan, math.nan, 0.0))
    evaluation = evaluation_of([[6, 2, 0, 0], [0, 8, 0, 0], [0] * 4, [0] * 4], trimap, {"a": 0.5, "b": math.nan})
    results = evaluation.to_json()
    assert list(results.items()) == [
        ("pixel_accuracy", 14 / 16),
        ("mean_accuracy", 7 / 8),
        ("mean_iou", pytest.approx(0.775)),
        ("frequency_weighted_iou", pytest.approx(0.775)),
        ("iou", {"sky": 0.75, "tree": 0.8, "猫": None, "road": None}),
        ("precision", {"sky": 1.0, "tree": 0.8, "猫": None, "road": None}),
        ("recall", {"sky": 0.75, "tree": 1.0, "猫": None, "road": None}),
        ("images", 2),
        ("confusion_matrix", [[6, 2, 0, 0], [0, 8, 0, 0], [0] * 4, [0] * 4]),
        ("image_mean_iou", {"a": 0.5, "b": None}),
        (
            "trimap",
            {
                "width": 4,
                "pixel_accuracy": 0.6,
                "mean_iou": 0.5,
                "iou": {"sky": 0.25, "tree": None, "猫": None, "road": 0.0},
            },
        ),
    ]
    assert evaluation["trimap"]["mean_iou"] == 0.5
    old = {name: value for name, value in results.items() if name not in ("precision", "recall")}
    whole = evaluation_of([[6, 2, 0, 0], [0, 8, 0, 0], [0] * 4, [0] * 4], None, {"a": 0.5, "b": math.nan}).to_json()
    for values, expected in ((results, results), (old, results), (whole, whole)):
        write_json(tmp_path / "metrics.json", values)
        assert Evaluation.read(tmp_path / "metrics.json").to_json() == expected
    assert "trimap" not in whole


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "No such file"), ("{", "Expecting"), ('{"iou": {"a": 0.5}, "images": 1}', "lacks 'confusion_matrix'")],
)
def test_metrics_that_cannot_be_read_are_one_line(tmp_path, text, reason):
    if text is not None:
        (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=rf"metrics.json: cannot be read \(.*{reason}.*\); evaluate the run again"):
        Evaluation.read(tmp_path / "metrics.json")


def test_the_worst_come_first_and_images_without_metrics_never():
    evaluation = evaluation_of(np.eye(4), image_mean_iou={"a": 0.5, "b": math.nan, "c": 0.25, "d": 1.0})
    assert evaluation.worst_images(2) == [("c", 0.25), ("a", 0.5)]
    assert len(evaluation.worst_images(9)) == 3
    assert format_worst(evaluation.worst_images(1)).endswith("\n  25.0  c")


def test_there_are_letters_for_26_models():
    assert list(model_letters(["x"] * 26))[-1] == "Z"
    with pytest.raises(UserError, match="at most 26 models"):
        model_letters(["x"] * 27)


def test_the_chart_shows_the_values(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("keras_fcn.drawing.comparison.save_figure", lambda figure, path: figures.append(figure))
    means, classes = {"mean IoU": [0.5, 0.75]}, {"$a$": [0.25, math.nan], "b": [math.nan, 1.0]}
    draw_comparison(tmp_path / "x.png", ["A  one", "B  $two"], means, classes)
    (axes,) = figures[0].axes
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[50, 25, 0], [75, 0, 100]]
    assert [text.get_text() for text in axes.texts] == ["50.0", "25.0", "-", "75.0 (+25.0)", "-", "100.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mean IoU", "$a$", "b"]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["A  one", "B  $two"]
    monkeypatch.undo()
    draw_comparison(tmp_path / "x.png", ["A  one", "B  $two"], means, classes)
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) > 150


@pytest.fixture
def unlabelled(toy, tmp_path):
    """VOC's folder for its test set: images and a list, no masks."""
    root = tmp_path / "VOC2012"
    shutil.copytree(toy / "JPEGImages", root / "JPEGImages")
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    names = sorted(path.stem for path in (root / "JPEGImages").glob("val*"))
    (root / "ImageSets/Segmentation/test.txt").write_text("\n".join(names))
    return root


def test_the_archive_for_the_test_server(trained, unlabelled, tmp_path):
    words = ["--data", unlabelled, "--submission", tmp_path / "x.tgz", "--competition", "comp5"]
    call = Call("evaluate.py", trained, *words)
    assert (call.status, call.err) == (0, "")
    assert call.out == f"{tmp_path}/x.tgz: 3 masks for comp5, read back and complete\n"
    predictor = Predictor.open(trained)
    with tarfile.open(tmp_path / "x.tgz", "r:gz") as archive:
        masks = {entry.name: archive.extractfile(entry).read() for entry in archive}
    photos = sorted((unlabelled / "JPEGImages").glob("val*"))
    assert sorted(masks) == [f"results/VOC2012/Segmentation/comp5_test_cls/{photo.stem}.png" for photo in photos]
    for photo, png in zip(photos, (masks[name] for name in sorted(masks))):
        with Image.open(io.BytesIO(png)) as mask, Image.open(photo) as image:
            assert (mask.mode, mask.size) == ("P", image.size)
            assert mask.getpalette() == voc_palette().ravel().tolist()
            np.testing.assert_array_equal(np.asarray(mask), predictor(np.asarray(image)))


def test_archives_are_the_same_bytes_each_time(unlabelled, tmp_path):
    photos = open_voc_images(unlabelled, "test")
    for name in ("a.tgz", "b.tgz"):
        write_submission(tmp_path / name, Predictor(by_brightness, VOC), photos, "comp6", "test")
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()


def test_nothing_is_left_of_an_archive_that_fails(unlabelled, tmp_path):
    photos, before = open_voc_images(unlabelled, "test"), sorted(tmp_path.iterdir())
    wrong = Predictor(lambda images: np.full(images.shape[:3], 21, np.uint8), VOC)
    with pytest.raises(UserError, match=r"x.tgz: results/.*png holds the id 21, but there are 21 classes; nothing was"):
        write_submission(tmp_path / "x.tgz", wrong, photos, "comp6", "test")
    assert sorted(tmp_path.iterdir()) == before
    next(iter(photos.values())).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=r"val_\d+.jpg: cannot be decoded"):
        write_submission(tmp_path / "x.tgz", Predictor(by_brightness, VOC), photos, "comp6", "test")
    assert sorted(tmp_path.iterdir()) == before


def test_archives_are_read_back(tmp_path):
    def mask(shape, mode="P"):
        png = io.BytesIO()
        Image.fromarray(np.zeros(shape, np.uint8)).convert(mode).save(png, "PNG")
        return png.getvalue()

    def archive(**masks):
        with tarfile.open(tmp_path / "x.tgz", "w:gz") as file:
            for name, content in masks.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))
        return tmp_path / "x.tgz"

    sizes = {"a": (3, 5), "b": (4, 4)}
    require_submission(archive(a=mask((3, 5)), b=mask((4, 4))), sizes, 21)
    for masks, message in [
        ({"a": mask((3, 5))}, "lacks b and 0 more"),
        ({"a": mask((5, 3)), "b": mask((4, 4))}, r"a is of mode P and shape \(5, 3\), not a palette image \(3, 5\)"),
        ({"a": mask((3, 5)), "c": mask((4, 4))}, "holds c, which is unexpected"),
        ({"a": mask((3, 5), "L"), "b": mask((4, 4))}, "a is of mode L"),
        ({"a": mask((3, 5))[:-30], "b": mask((4, 4))}, "cannot be read back"),
    ]:
        with pytest.raises(UserError, match=message):
            require_submission(archive(**masks), sizes, 21)
    whole = archive(a=mask((3, 5)), b=mask((4, 4))).read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:60] + bytes(40) + whole[100:], b""):
        (tmp_path / "x.tgz").write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read back"):
            require_submission(tmp_path / "x.tgz", sizes, 21)


def test_a_folder_without_what_an_archive_needs_is_refused(unlabelled, tmp_path):
    with pytest.raises(UserError, match=r"val.txt: no such split list; lists there: test"):
        open_voc_images(unlabelled, "val")
    (unlabelled / "JPEGImages/val_0001.jpg").unlink()
    with pytest.raises(UserError, match=r"test.txt: the image of 'val_0001' is missing"):
        open_voc_images(unlabelled, "test")
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="other: is not in VOC's layout"):
        open_voc_images(tmp_path / "other", "test")
