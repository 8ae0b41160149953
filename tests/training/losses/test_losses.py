import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from numpy_losses import VOID, numpy_loss, numpy_parts, softmax

from keras_fcn import SegmentationLoss
from keras_fcn.training.losses import cross_entropy
from keras_fcn.training.losses.cross_entropy import summed_cross_entropy
from keras_fcn.training.losses.dice import summed_dice
from keras_fcn.training.losses.lovasz import summed_lovasz

LOSSES = {
    "cross_entropy": SegmentationLoss(),
    "label_smoothing": SegmentationLoss(label_smoothing=0.2),
    "ohem": SegmentationLoss(ohem=0.3),
    "ohem_of_all_kinds": SegmentationLoss(label_smoothing=0.1, ohem=0.5, class_weights=(0.5, 2.0, 3.0, 1.0)),
    "dice": SegmentationLoss(["dice"]),
    "lovasz": SegmentationLoss(["lovasz"]),
    "sum": SegmentationLoss(["lovasz", "cross_entropy", "dice"], ohem=0.5),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def random_batch(images=5, height=6, width=7, num_classes=4, seed=0):
    """Labels with void spread unevenly: the first image has none, the last nothing else."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, height, width, num_classes)).astype(np.float32) * 2
    labels = rng.integers(0, num_classes, (images, height, width)).astype(np.uint8)
    labels[1:2][labels[1:2] == 3] = 2  # a class that this image does not show
    labels[2:3] = 1
    for image, fraction in enumerate(np.linspace(0, 1, images)):
        labels[image][rng.random((height, width)) < fraction] = VOID
    return labels, logits


def loss_and_gradient(loss, labels, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = loss.total(*loss.parts(tf.constant(labels), logits))
    return float(total), tape.gradient(total, logits).numpy()


@each_loss
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_definition_in_numpy(loss, seed):
    labels, logits = random_batch(seed=seed)
    sums, normalizers = loss.parts(tf.constant(labels), tf.constant(logits))
    expected = numpy_parts(loss, labels, logits)
    np.testing.assert_allclose([sums, normalizers], expected, rtol=1e-5)
    assert sums.dtype == normalizers.dtype == tf.float32


@each_loss
def test_the_gradient_is_that_of_finite_differences(loss):
    labels, logits = random_batch(images=3, height=2, width=3, seed=3)
    _, gradient = loss_and_gradient(loss, labels, logits)
    expected, exact = np.zeros(logits.shape), logits.astype(np.float64)
    for index in np.ndindex(logits.shape):
        for sign in (1, -1):
            shifted = exact.copy()
            shifted[index] += sign * 1e-5
            expected[index] += sign * numpy_loss(loss, labels, shifted) / 2e-5
    np.testing.assert_allclose(gradient, expected, atol=2e-6)


@each_loss
@pytest.mark.parametrize("cut", [1, 3])
def test_parts_of_a_batch_add_up_to_the_whole(loss, cut):
    labels, logits = random_batch()
    one, other = (loss.parts(labels[part], logits[part]) for part in (slice(cut), slice(cut, None)))
    for of_one, of_other, of_both in zip(one, other, loss.parts(labels, logits)):
        np.testing.assert_allclose(of_one + of_other, of_both, rtol=1e-6)
    whole = float(loss.total(*loss.parts(labels, logits)))
    assert np.mean([loss.total(*one), loss.total(*other)]) != pytest.approx(whole, rel=1e-3)


@each_loss
def test_void_has_no_gradient_and_no_influence(loss):
    labels, logits = random_batch()
    total, gradient = loss_and_gradient(loss, labels, logits)
    assert (gradient[labels == VOID] == 0).all()
    assert (gradient[labels != VOID] != 0).any()
    others = np.where((labels == VOID)[..., None], np.float32(7) - 3 * logits, logits)
    assert loss_and_gradient(loss, labels, others)[0] == pytest.approx(total, rel=1e-6)


@each_loss
def test_nothing_but_void_is_zero_of_zero(loss):
    labels, logits = np.full((2, 3, 3), VOID, np.uint8), random_batch(2, 3, 3)[1]
    for part in loss.parts(labels, logits):
        np.testing.assert_array_equal(part, np.zeros(len(loss.terms)))
    total, gradient = loss_and_gradient(loss, labels, logits)
    assert total == 0
    assert (gradient == 0).all()


@each_loss
def test_extreme_logits_leave_everything_finite(loss):
    labels, logits = random_batch()
    for extreme in (1e4 * np.sign(logits), 1e4 * logits, np.zeros_like(logits)):
        total, gradient = loss_and_gradient(loss, labels, extreme)
        assert np.isfinite(total)
        assert np.isfinite(gradient).all()


@each_loss
def test_images_of_one_class_are_learned_to_the_end(loss):
    """A confident right pixel costs nothing, or 50 where labels are smoothed; a confident wrong one, all."""
    labels = np.full((2, 4, 4), 2, np.uint8)
    right = 50 * tf.one_hot(labels, 4).numpy()
    smoothed = 50 * loss.label_smoothing * 3 / 4
    assert loss_and_gradient(loss, labels, right)[0] == pytest.approx(smoothed, abs=1e-5)
    wrong = 50 * tf.one_hot(labels - 1, 4).numpy()
    expected = sum(50 * (1 - loss.label_smoothing / 4) if term == "cross_entropy" else 1 for term in loss.terms)
    assert loss_and_gradient(loss, labels, wrong)[0] == pytest.approx(expected, rel=1e-6)


@each_loss
def test_half_precision_is_computed_in_float32(loss):
    labels, logits = random_batch()
    rounded = tf.cast(logits, tf.bfloat16)
    for half, full in zip(loss.parts(labels, rounded), loss.parts(labels, tf.cast(rounded, tf.float32))):
        assert half.dtype == tf.float32
        np.testing.assert_array_equal(half, full)


def test_xla_compiles_all_and_changes_nothing():
    labels, logits = random_batch()
    loss = LOSSES["sum"]

    @tf.function(jit_compile=True)
    def compiled(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = loss.total(*loss.parts(labels, logits))
        return total, tape.gradient(total, logits)

    for of_xla, expected in zip(
        compiled(tf.constant(labels), tf.constant(logits)), loss_and_gradient(loss, labels, logits)
    ):
        np.testing.assert_allclose(of_xla, expected, atol=1e-5)


def test_batches_of_any_size_share_a_graph():
    loss = LOSSES["sum"]
    signature = [tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([None, None, None, 4])]
    parts = tf.function(loss.parts, input_signature=signature)
    for images, size in ((5, 6), (1, 3)):
        labels, logits = random_batch(images, size, size)
        np.testing.assert_allclose(parts(labels, logits), numpy_parts(loss, labels, logits), rtol=1e-5)


def test_cross_entropy_by_hand():
    """Probabilities 1/4 and 3/4: the pixel of class 0 costs log 4, that of class 1 log 4/3, the void one nothing."""
    logits = np.log([[[[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]]]).astype(np.float32)
    total, count = summed_cross_entropy(np.array([[[0, 1, VOID]]]), logits)
    assert float(count) == 2
    assert float(total) == pytest.approx(np.log(4) + np.log(4 / 3), rel=1e-6)
    smoothed, _ = summed_cross_entropy(np.array([[[0, VOID, VOID]]]), logits, label_smoothing=0.2)
    assert float(smoothed) == pytest.approx(0.9 * np.log(4) + 0.1 * np.log(4 / 3), rel=1e-6)


@pytest.mark.parametrize("spread", [1, 30, 300])
def test_cross_entropy_and_its_gradient_are_tensorflows(spread):
    """Also where a probability is too small for float32."""
    rng = np.random.default_rng(spread)
    labels = rng.choice(np.array([0, 1, 2, 3, 4, 255], np.uint8), (2, 9, 11))
    logits = tf.constant(rng.normal(size=(2, 9, 11, 5)) * spread, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        total, _ = summed_cross_entropy(labels, logits)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            np.where(labels == 255, 0, labels).astype(np.int32), logits
        )
        expected = tf.reduce_sum(losses[labels != 255])
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(total, logits), tape.gradient(expected, logits), rtol=1e-5, atol=1e-6)


def test_ohem_by_hand():
    """Ten pixels of one class, the harder the further right; void at the hard end. Of 8 valid, a quarter is 2."""
    margins = np.arange(10, dtype=np.float32)
    logits = np.stack([np.zeros(10, np.float32), margins], axis=-1)[None, None]
    labels = np.array([[[0] * 8 + [VOID] * 2]])
    total, count = summed_cross_entropy(labels, logits, hardest=0.25)
    assert float(count) == 2
    assert float(total) == pytest.approx(np.log1p(np.exp(6)) + np.log1p(np.exp(7)), rel=1e-6)


def test_ohem_keeps_at_least_one_pixel_and_all_that_tie_with_the_last():
    labels = np.zeros((2, 2, 2), np.uint8)
    logits = np.zeros((2, 2, 2, 3), np.float32)
    logits[0, 1, 1, 1] = 5
    _, count = summed_cross_entropy(labels, logits, hardest=0.01)
    assert float(count) == 1 + 4


def test_ohem_chooses_before_it_weighs():
    """The hard pixel of class 0 counts by 0.1, the easier one of class 1 by 10: the hard one is kept nevertheless."""
    logits = np.array([[[[0, 3], [0, 1]]]], np.float32)
    total, count = summed_cross_entropy(np.array([[[0, 1]]]), logits, (0.1, 10.0), hardest=0.5)
    assert float(count) == pytest.approx(0.1)
    assert float(total) == pytest.approx(0.1 * np.log1p(np.exp(3)), rel=1e-6)


def test_dice_by_hand():
    """Class 0 has 2 pixels with p = 3/4 and 1/2, class 1 one with p = 1/2; the fourth is void."""
    logits = np.log([[[[3.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 9.0]]]]).astype(np.float32)
    total, images = summed_dice(np.array([[[0, 0, 1, VOID]]]), logits)
    first = 1 - 2 * (3 / 4 + 1 / 2) / ((9 / 16 + 1 / 4 + 1 / 4) + 2)
    second = 1 - 2 * (1 / 2) / ((1 / 16 + 1 / 4 + 1 / 4) + 1)
    assert float(images) == 1
    assert float(total) == pytest.approx((first + second) / 2, rel=1e-6)


def test_lovasz_of_sure_predictions_is_the_lack_of_iou():
    """Truth 0 0 0 1 1 void, prediction 0 0 1 1 2 2: IoU of class 0 is 2/3, of class 1 1/3; 2 is not in the truth."""
    logits = 100 * tf.one_hot([[[0, 0, 1, 1, 2, 2]]], 3)
    total, images = summed_lovasz(np.array([[[0, 0, 0, 1, 1, VOID]]]), logits)
    assert float(images) == 1
    assert float(total) == pytest.approx((1 / 3 + 2 / 3) / 2, rel=1e-6)


def test_lovasz_by_hand():
    """Two pixels of class 0 with p = 1/4 and 3/4, one of class 1 with p = 1/2.

    Class 0: errors 3/4 (own), 1/2 (other), 1/4 (own); Jaccard losses of the first 1, 2, 3: 1/2, 2/3, 1.
    Class 1: errors 3/4 (other), 1/2 (own), 1/4 (other); Jaccard losses 1/2, 1, 1.
    """
    logits = np.log([[[[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]]]]).astype(np.float32)
    total, _ = summed_lovasz(np.array([[[0, 0, 1]]]), logits)
    first = 3 / 4 * 1 / 2 + 1 / 2 * (2 / 3 - 1 / 2) + 1 / 4 * (1 - 2 / 3)
    second = 3 / 4 * 1 / 2 + 1 / 2 * (1 - 1 / 2)
    assert float(total) == pytest.approx((first + second) / 2, rel=1e-6)


def test_lovasz_gradients_of_large_images_keep_their_digits():
    """Of 2^18 pixels each adds some 4e-6 to a Jaccard loss near 1, of which float32 has steps of 6e-8."""
    probability = np.linspace(0.9, 0.1, 2**18).astype(np.float32)
    logits = np.stack([np.zeros_like(probability), np.log(probability / (1 - probability))], axis=-1)[None, None]
    labels = (np.arange(2**18) % 2).astype(np.uint8)[None, None]
    _, gradient = loss_and_gradient(SegmentationLoss(["lovasz"]), labels, logits)
    p = softmax(logits)[0, 0]
    expected = np.zeros_like(p)
    for k in (0, 1):
        truth = labels[0, 0] == k
        order = np.argsort(-np.abs(truth - p[:, k]), kind="stable")
        jaccard = 1 - (truth.sum() - np.cumsum(truth[order])) / (truth.sum() + np.cumsum(~truth[order]))
        slope = np.empty(len(order))
        slope[order] = np.diff(jaccard, prepend=0) * np.where(truth[order], -1, 1)
        of_class = slope * p[:, 0] * p[:, 1] / 2
        expected[:, k] += of_class
        expected[:, 1 - k] -= of_class
    assert np.abs(gradient[0, 0] - expected).max() < 1e-3 * np.abs(expected).max()


def test_nothing_is_sorted_where_all_pixels_count(monkeypatch):
    monkeypatch.setattr(cross_entropy, "_hardest", None)
    assert float(summed_cross_entropy(*random_batch())[1]) > 0


def test_fit_minimizes_it_and_files_keep_it(tmp_path):
    """In a file's model the loss is the same; another process that only imports the package can load it."""
    labels, logits = random_batch()
    model = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Dense(4, kernel_initializer="identity")])
    loss = LOSSES["ohem_of_all_kinds"]
    model.compile(keras.optimizers.SGD(0.5), loss)
    before = model.evaluate(logits, labels, batch_size=5, verbose=0)
    assert before == pytest.approx(numpy_loss(loss, labels, logits), rel=1e-5)
    model.fit(logits, labels, batch_size=5, epochs=3, verbose=0)
    after = model.evaluate(logits, labels, batch_size=5, verbose=0)
    assert after < before
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", labels=labels, logits=logits)
    program = """
import sys, keras, keras_fcn, numpy as np
batch = np.load(sys.argv[1] + "/batch.npz")
print(keras.models.load_model(sys.argv[1] + "/model.keras").evaluate(batch["logits"], batch["labels"], 5, verbose=0))
"""
    words = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    assert float(done.stdout) == pytest.approx(after, rel=1e-5)
