"""Several models predict together: by the mean of their probabilities."""

import json

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from keras_fcn import Predictor
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import load_model
from keras_fcn.inference.options import InferenceOptions

CLASSES = ClassTable.numbered(4)


def one(seed, classes=CLASSES):
    """A model that gives each grey value probabilities of its own."""
    table = np.random.default_rng(seed).dirichlet(np.ones(4), 256).astype(np.float32)
    return Predictor(lambda images: table[images[..., 0]].argmax(-1).astype(np.uint8), classes,
                     lambda images: table[images[..., 0]], f"model {seed}"), table  # fmt: skip


def test_an_ensemble_decides_by_the_mean_of_probabilities():
    image = np.random.default_rng(9).integers(0, 256, (20, 30, 3), np.uint8)
    predictors, tables = zip(*map(one, range(3)))
    ensemble = Predictor.ensemble(predictors)
    mean = np.mean([table[image[..., 0]] for table in tables], axis=0)
    np.testing.assert_allclose(ensemble.probabilities(image), mean, rtol=1e-6)
    np.testing.assert_array_equal(ensemble(image), mean.argmax(-1))
    assert any(not np.array_equal(ensemble(image), alone(image)) for alone in predictors)
    flipped = ensemble.using(InferenceOptions(flip=True), Decision(0.5))
    both = (mean + mean[:, ::-1][:, ::-1]) / 2
    np.testing.assert_array_equal(flipped(image), np.where(both.max(-1) >= 0.5, both.argmax(-1), 255))


def test_what_cannot_be_an_ensemble_is_one_line():
    (first, _), (other, _) = one(0), one(1, ClassTable.numbered(5))
    with pytest.raises(UserError, match="model 1: has other classes than model 0; an ensemble's have the same"):
        Predictor.ensemble([first, other])
    turned = ClassTable.named(CLASSES.names[::-1])
    with pytest.raises(UserError, match="model 1: has the classes in another order than model 0"):
        Predictor.ensemble([first, one(1, turned)[0]])
    of_ids = Predictor(first.segment, CLASSES, name="ids")
    with pytest.raises(UserError, match="ids: returns classes without probabilities"):
        Predictor.ensemble([first, of_ids])


def test_the_images_that_are_taken_whole_suit_every_model():
    (first, _), (other, _), (third, _) = one(0), one(1), one(2)
    first.limits, other.limits = WholeImages(64, 5000), WholeImages(32, 3000)
    assert Predictor.ensemble([first, other, third]).limits == WholeImages(32, 3000)
    assert Predictor.ensemble([third, third]).limits is None


def test_tiles_have_to_suit_the_model_that_sees_farthest():
    (first, _), (other, _), (third, _) = one(0), one(1), one(2)
    first._sight, other._sight = (lambda: 100.0), (lambda: 321.0)
    tiles = InferenceOptions(tile=(640, 640))
    note = Predictor.ensemble([first, other, third]).using(tiles).tile_note(tiles)
    assert note.startswith("model 0, model 1, model 2: sees 321 pixels to each side")
    assert Predictor.ensemble([first, third]).tile_note(tiles) is None


def test_thresholds_that_the_models_keep_are_said_not_to_decide():
    (first, _), (other, _) = one(0), one(1)
    other = Predictor(other.segment, CLASSES, other.score, "model 1", Decision.of({CLASSES.names[1]: 0.3}, CLASSES))
    ensemble = Predictor.ensemble([first, other])
    note = (
        "thresholds kept in model 1 were chosen for one model, and do not decide by the mean of several; --threshold "
        "gives some for it"
    )
    assert ensemble.threshold_note == ensemble.using(InferenceOptions(flip=True)).threshold_note == note
    given = ensemble.using(InferenceOptions(threshold=(f"{CLASSES.names[1]}=0.3",)))
    assert given.threshold_note == Predictor.ensemble([first, first]).threshold_note == ""


@pytest.fixture(scope="module")
def second(trained, tmp_path_factory):
    """The trained model with other weights."""
    model, rng = load_model(trained / "best.keras"), np.random.default_rng(3)
    model.set_weights([weight + rng.normal(0, 0.1, weight.shape).clip(-0.1, 0.1) * np.abs(weight) for weight in
                       model.get_weights()])  # fmt: skip
    path = tmp_path_factory.mktemp("models") / "second.keras"
    model.save(path)
    return path


def test_a_model_counts_once(trained):
    for twice in ([trained, trained], [str(trained), trained / "best.keras"]):
        with pytest.raises(UserError, match="is there 2 times; name each model once"):
            Predictor.open(twice)


def test_commands_take_several_models(trained, second, toy, tmp_path):
    image = sorted((toy / "JPEGImages").glob("val*"))[0]
    call = Call("predict.py", trained, second, image, "--out", tmp_path / "out", "--write", "masks")
    assert call.status == 0, call.err
    predictors = [Predictor(path) for path in (trained, second)]
    mean = np.mean([predictor.probabilities(image) for predictor in predictors], axis=0)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / f"out/masks/{image.stem}.png")), mean.argmax(-1))
    call = Call("evaluate.py", trained, second, "--ensemble", "--json", tmp_path / "all.json", "--trimap", 0)
    assert call.status == 0, call.err
    names = [model["model"] for model in json.loads((tmp_path / "all.json").read_text())["models"]]
    assert names == [str(trained), str(second), "mean of all"]
    assert "C  mean of all" in call.out


@pytest.mark.parametrize(
    ("script", "words", "message"),
    [
        ("evaluate.py", ["{run}", "--ensemble"], "--ensemble takes several models. Received: 1"),
        ("evaluate.py", ["{run}", "{other}", "{run}"], "{run}: is there 2 times; name each model once"),
        ("predict.py", ["{run}", "{run}", "a.jpg", "--out", "x"], "{run}: is there 2 times; name each model once"),
        ("evaluate.py", ["{run}", "{run}/best.keras", "--ensemble"], "/best.keras: is there 2 times; name each model"),
        ("predict.py", ["{run}", "{run}/best.keras", "{image}", "--out", "x"], "/best.keras: is there 2 times; name"),
        ("predict.py", ["{run}", "{other}", "--out", "x"], "predict.py needs images, folders or videos after the mod"),
        ("predict.py", ["{run}", "a.jpg", "{other}", "--out", "x"], "{other}: is a model; models stand before the im"),
        ("predict.py", ["{run}", "{unfinished}", "{image}", "--out", "x"], "best.keras: no such file: the run has not"),
        ("predict.py", ["{run}", "{other}", "a.jpg", "--out", "x", "--ray"], "--ray predicts with one model. Receiv"),
    ],
)
def test_wrong_calls_are_one_line(trained, toy, tmp_path, script, words, message):
    other, unfinished = tmp_path / "other.keras", tmp_path / "unfinished"
    other.touch()
    (unfinished / "checkpoints").mkdir(parents=True)
    (unfinished / "config.json").write_text("{}")
    image = next((toy / "JPEGImages").iterdir())
    paths = {"run": trained, "other": other, "unfinished": unfinished, "image": image}
    call = Call(script, *(word.format_map(paths) for word in words))
    message = message.format_map(paths)
    assert (call.status, call.out) == (2, "")
    assert message in call.err
    assert call.err.count("\n") == 1
