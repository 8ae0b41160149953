import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.network.upscore import Upscore
from keras_fcn.training.losses import SegmentationLoss
from keras_fcn.training.step.score_loss import ScoreLoss

CLASSES = 4
LOSSES = {
    "cross_entropy": {},
    "all_that_cross_entropy_has": {"label_smoothing": 0.1, "ohem": 0.5, "class_weights": (0.5, 2.0, 3.0, 1.0)},
    "sum": {"terms": ("lovasz", "cross_entropy", "dice"), "ohem": 0.5},
}
LAYERS = {
    "products": lambda: Upscore(CLASSES, 16, 8, "same", use_bias=False),
    "convolution": lambda: Upscore(CLASSES, 8, 4, "same", use_bias=False),
    "without_weights": lambda: keras.layers.UpSampling2D(8, interpolation="bilinear"),
}


def batch(layer):
    """Returns scores of three images, and labels of three rows and one column less than their logits."""
    rng = np.random.default_rng(0)
    scores = tf.constant(rng.normal(size=(3, 3, 5, CLASSES)), tf.float32)
    _, height, width, _ = layer(scores).shape
    labels = rng.choice([0, 1, 2, 3, 255], (3, height - 3, width - 1)).astype(np.uint8)
    labels[1] = 255
    labels[2, :2] = 1
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return scores, labels


def by_a_tape(layer, loss, scores, labels):
    """Returns sums, normalizers and each sum's gradients with respect to scores and weights, of all logits at once."""
    _, height, width = labels.shape
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(scores)
        sums, normalizers = loss.parts(tf.constant(labels), layer(scores)[:, :height, :width])
        terms = tf.unstack(sums)
    return sums, normalizers, [tape.gradient(term, [scores, *layer.trainable_weights]) for term in terms]


@pytest.mark.parametrize("by_image", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_sums_and_gradients_are_those_of_all_logits_at_once(loss, layer, by_image):
    loss, layer = SegmentationLoss(**LOSSES[loss]), LAYERS[layer]()
    scores, labels = batch(layer)
    head = ScoreLoss(layer, loss, by_image)

    @tf.function
    def ours(labels, scores):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(scores)
            sources = head.sources(scores)
        sums, normalizers, of_sources = head.parts(labels, scores, sources)
        weights = [scores, *layer.trainable_weights]
        each = [tape.gradient(sources, weights, list(of_term)) for of_term in zip(*map(tf.unstack, of_sources))]
        return sums, normalizers, each

    found, right = ours(tf.constant(labels), scores), by_a_tape(layer, loss, scores, labels)
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_weights_that_it_could_not_differentiate_are_refused():
    layer = Upscore(CLASSES, 8, 4, "same")
    layer.build((None, None, None, CLASSES))
    with pytest.raises(ValueError, match="an Upscore without bias, or have no weights"):
        ScoreLoss(layer, SegmentationLoss())


@pytest.mark.parametrize("kind", ["products", "convolution"])
def test_an_image_after_the_other_is_held_and_not_the_batch(kind):
    """In the graph, nothing but windows, labels and counts is of all images."""
    layer = LAYERS[kind]()
    scores, labels = batch(layer)
    head = ScoreLoss(layer, SegmentationLoss())
    graph = tf.function(lambda labels, scores: head.parts(labels, scores, head.sources(scores)))
    concrete = graph.get_concrete_function(tf.constant(labels), scores)
    logits = layer(scores).shape.num_elements()
    sizes = [
        output.shape.num_elements()
        for operation in concrete.graph.get_operations()
        for output in operation.outputs
        if output.dtype.is_floating and output.shape.is_fully_defined()
    ]
    assert max(sizes) < logits
    whole = tf.function(
        lambda labels, scores: ScoreLoss(layer, SegmentationLoss(), False).parts(labels, scores, head.sources(scores))
    )
    whole = whole.get_concrete_function(tf.constant(labels), scores)
    assert any(
        output.shape.is_fully_defined() and output.shape.num_elements() == logits
        for operation in whole.graph.get_operations()
        for output in operation.outputs
    )
