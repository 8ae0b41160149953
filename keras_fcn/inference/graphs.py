"""The graphs of a network: from images to class ids, and to probabilities."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_fcn.inference.arrays import ProbabilityFunction, Segment, softmax_at
from keras_fcn.inference.decision import Decision
from keras_fcn.network.parts import Parts


def images_of(model: keras.Model) -> tf.TensorSpec:
    """Returns the input of a network's graphs: images uint8 [N, H, W, channels]."""
    return tf.TensorSpec([None, None, None, Parts(model).channels.count], tf.uint8, name="images")


def for_any_number(network: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Applies a network to a batch that may hold no images, or images without pixels: backbones fail on these.

    Args:
        network: From images [N, H, W, channels], N, H and W at least 1, to a tensor [N, H, W, C].
        images: uint8 [N, H, W, channels].
    """
    return cropped(network(filled(images)), images)


def filled(images: tf.Tensor) -> tf.Tensor:
    """Returns images uint8 [N, H, W, 3], or one of zeros, of one pixel, in place of what is not there."""
    missing = tf.maximum(1 - tf.shape(images)[:3], 0)
    padding = tf.stack([tf.zeros(4, tf.int32), tf.concat([missing, [0]], 0)], axis=1)
    return tf.ensure_shape(tf.pad(images, padding), [None, None, None, images.shape[-1]])


def cropped(pixels: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Returns [N, H, W, ...] of a tensor of at least as many images and pixels, for images uint8 [N, H, W, 3]."""
    number, height, width = tf.unstack(tf.shape(images)[:3])
    return pixels[:number, :height, :width]


def decision_of(model: keras.Model) -> Decision:
    """Returns the decision by the thresholds that are kept in a network of `build_fcn`."""
    logits = Parts(model).logits
    return Decision.of(logits.thresholds, logits.classes)


def segmenter(model: keras.Model) -> Segment:
    """Returns the graph from images uint8 [N, H, W, 3] of any size to class ids uint8 [N, H, W]."""
    logits, temperature, decide = _inference(model), Parts(model).logits.temperature, decision_of(model)

    @tf.function(autograph=False, input_signature=[images_of(model)])
    def segment(images: tf.Tensor) -> tf.Tensor:
        return decide.of_logits(for_any_number(logits, images), temperature)

    return segment


def probability_function(model: keras.Model) -> ProbabilityFunction:
    """Returns the graph from images uint8 [N, H, W, channels] of any size to probabilities float32 [N, H, W, C]."""
    logits, temperature = _inference(model), Parts(model).logits.temperature

    @tf.function(autograph=False, input_signature=[images_of(model)])
    def probabilities(images: tf.Tensor) -> tf.Tensor:
        return softmax_at(temperature, for_any_number(logits, images))

    return probabilities


def _inference(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda images: model(tf.cast(images, tf.float32), training=False)
