import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import Interruption, assert_same_run, eagerly, exact_history, silent, tiny

from keras_fcn import Augmentation
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.errors import UserError
from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts
from keras_fcn.runs.config import TrainConfig
from keras_fcn.training.inputs.feature_cache import FeatureCache, Plan, plan_cache
from keras_fcn.training.inputs.stream import TrainingStream
from keras_fcn.training.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        ("fcn32s", ["P5"]),
        ("fcn16s", ["P5", "P4"]),
        ("fcn8s", ["P5", "P4", "P3"]),
        ("fcn4s", ["P5", "P4", "P3", "P2"]),
    ],
)
def test_the_scorer_makes_of_features_what_the_network_makes_of_the_image(model, levels):
    keras.utils.set_random_seed(0)
    network = build_fcn(model, "resnet18_v2", num_classes=3)
    for layer in network.layers:
        if layer.name.startswith("score_pool"):
            layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    parts = Parts(network)
    assert list(parts.levels) == levels
    image = np.random.default_rng(1).integers(0, 256, (2, 45, 70, 3)).astype(np.float32)
    features = parts.features(image)
    (scores,) = keras.tree.flatten(parts.scorer("features")([features[level] for level in levels]))
    (upsample,) = parts.heads
    scores = upsample(scores)
    np.testing.assert_allclose(np.asarray(scores)[:, :45, :70], network(image), rtol=1e-4, atol=1e-4)


def test_the_scorer_of_fcn32s_takes_p4_for_the_auxiliary_head():
    parts = Parts(build_fcn("fcn32s", "mobilenet_v2", num_classes=3, auxiliary=True))
    assert list(parts.levels) == ["P5", "P4"]
    assert len(parts.scorer("features").outputs) == len(parts.heads) == 2


@pytest.mark.usefixtures("full_width")
def test_as_many_augmentations_are_kept_as_fit():
    """ResNet-18 at 64x96, FCN-32s: P5 of 2 x 3 x 512 float32 and a label of 64 x 96 bytes, 18,432 in all."""
    network = build_fcn("fcn32s", "resnet18_v2", num_classes=3)
    plan = plan_cache(network, (64, 96), count=10, gigabytes=1e-9 * 18_432 * 35, passes=50)
    assert (plan.draws, plan.sample_bytes, plan.levels) == (3, 18_432, ("P5",))
    assert plan.gigabytes == pytest.approx(30 * 18_432 / 1e9)
    assert plan_cache(network, (64, 96), 10, 1.0, passes=2).draws == 2
    with pytest.raises(UserError, match=r"cache_features=1e-05: the features of 10 images take 0.0 GB; raise it"):
        plan_cache(network, (64, 96), 10, 1e-5, passes=2)
    with pytest.raises(UserError, match="cache_features needs freeze_backbone N"):
        TrainConfig(cache_features=1.0)


def test_a_signal_ends_the_computation_of_features_between_two_batches(tmp_path):
    """They take minutes; nothing is left of them, and a run that is resumed computes them."""
    batches = tf.data.Dataset.from_tensor_slices(tf.zeros([4, 1, 2, 2, 3])).map(lambda x: (x, x[..., 0]))
    cache, calls = FeatureCache(tmp_path / "features", Plan(("P5",), count=4, draws=1, sample_bytes=8)), []

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fill(lambda images: {"P5": images}, batches, check)
    assert len(calls) == 2
    assert not [*tmp_path.iterdir()]
    cache.fill(lambda images: {"P5": images}, batches)
    assert np.load(tmp_path / "features/P5.npy").shape == (4, 2, 2, 3)


@pytest.fixture(scope="module")
def runs(toy, tmp_path_factory):
    """Runs that freeze the backbone for two of three epochs, without and with its features kept."""
    folder = tmp_path_factory.mktemp("cached")
    settings = {"model": "fcn16s", "freeze_backbone": 2, "epochs": 3, "auxiliary": 0.4, "learning_rate": 1e-5}
    with eagerly():
        plain = run_training(tiny(toy, **settings), folder / "plain", report=silent)
    cached = run_training(tiny(toy, **settings, cache_features=1.0), folder / "cached", report=silent)
    return plain, cached


def test_with_kept_features_training_is_the_same(runs):
    """A draw for each pass: the same images, in the same order; only the order of the sums differs."""
    plain, cached = (exact_history(run) for run in runs)
    for before, now in zip(plain, cached, strict=True):
        assert now["loss"] == pytest.approx(before["loss"], rel=1e-3)
    assert not runs[1].features.exists()


def test_a_run_with_cached_features_resumes_exactly(runs, toy, tmp_path, monkeypatch):
    settings = {
        "model": "fcn16s",
        "freeze_backbone": 2,
        "epochs": 3,
        "auxiliary": 0.4,
        "learning_rate": 1e-5,
        "cache_features": 1.0,
    }
    interruption = Interruption(monkeypatch, step=5)
    with pytest.raises(KeyboardInterrupt):
        run_training(tiny(toy, **settings), tmp_path / "run", report=silent)
    interruption.undo()
    assert sorted(path.name for path in (tmp_path / "run/features").iterdir()) == [
        "P4.npy", "P5.npy", "features.json", "labels.npy",
    ]  # fmt: skip
    assert_same_run(runs[1], run_training(tiny(toy, **settings), tmp_path / "run", report=silent))


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    half = tmp_path / f".{1 << 31}.features"  # of a process that cannot be
    half.mkdir()
    (half / "P5.npy").write_bytes(b"half")
    (tmp_path / "features").mkdir()
    FeatureCache(tmp_path / "features", Plan(("P5",), 1, 1, 1)).remove()
    assert not list(tmp_path.iterdir())


def test_features_that_are_needed_no_more_go_as_a_run_is_resumed(toy, tmp_path):
    pairs = read_voc(toy, "train")
    stream = TrainingStream(pairs, Augmentation((64, 96)), tf.distribute.get_strategy(), 0, 5, frozen_epochs=1)
    stream.plan = Plan(("P5",), len(pairs), 1, 1)
    (tmp_path / "features").mkdir()
    stream.open(stream.steps_per_epoch, tmp_path / "features")
    assert not (tmp_path / "features").exists()


def test_a_full_disk_is_one_line(toy, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_fcn.training.inputs.feature_cache.FeatureCache._write", full)
    with pytest.raises(
        UserError, match=r"features: cannot hold \S+ GB of features \(No space left on device\); free disk space"
    ):
        run_training(
            tiny(toy, freeze_backbone=1, cache_features=1.0, learning_rate=1e-5), tmp_path / "run", report=silent
        )
    assert not (tmp_path / "run/features").exists()


def test_a_stream_computes_what_was_imported(tmp_path, monkeypatch):
    """AutoGraph reads source files when it traces: after minutes of computing features, what an update left there."""
    cache, read = FeatureCache(tmp_path / "features", Plan(("P5",), count=4, draws=1, sample_bytes=8)), []
    batches = tf.data.Dataset.from_tensors((tf.zeros([4, 2, 2, 3]), tf.zeros([4, 2, 2])))
    cache.fill(lambda images: {"P5": images}, batches)
    monkeypatch.setattr("linecache.checkcache", read.append)
    next(iter(cache.dataset(batch_size=2, seed=0, first_index=0)))
    assert not [path for path in read if "keras_fcn" in path]
