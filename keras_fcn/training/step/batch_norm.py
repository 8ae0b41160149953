"""Batch normalization across devices or fused on one, and its statistics in networks without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.network.parts import flat_layers

LARGEST_MOMENTUM = 0.9
"""Greatest momentum of the moving statistics; Gluon's and PyTorch's default.

Those of `keras.applications` have up to 0.999, for the millions of steps on ImageNet: in a fine-tuning of a few
thousand, the network would be evaluated with the statistics of its weights a thousand steps ago.
"""


def batch_norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """Yields the batch normalizations of a model, those of models nested in it included."""
    return (layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization))


def prepare_batch_norms(model: keras.Model, replicas: int) -> None:
    """Limits the momentum of batch normalization, and makes it exact on several devices or fast on one.

    See `synchronize_batch_norms` and `fuse_batch_norms`.
    """
    for layer in batch_norms(model):
        layer.momentum = min(layer.momentum, LARGEST_MOMENTUM)
    if replicas > 1:
        synchronize_batch_norms(model)
    else:
        fuse_batch_norms(model)


def synchronize_batch_norms(model: keras.Model) -> None:
    """Makes batch normalization use the statistics of the global batch, whatever the number of devices."""
    for layer in batch_norms(model):
        layer.synchronized = True


def fuse_batch_norms(model: keras.Model) -> None:
    """Makes batch normalization train by TensorFlow's fused kernels, on one device, where they fit.

    Keras composes it of a dozen operations, each of which reads its tensors from memory again. The layers are still
    saved, loaded and copied as those of Keras.

    Args:
        model: The network, not yet in a graph; `synchronize_batch_norms` overrides this.
    """
    for layer in batch_norms(model):
        if not layer.renorm:
            layer.call = _fused(layer, layer.call)


def _fused(layer: keras.layers.BatchNormalization, composed: Callable) -> Callable:
    """Returns a layer's `call` by the fused kernel in training, and by Keras' composition otherwise."""

    def call(inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        is_image = len(inputs.shape) == 4 and layer.axis in (-1, 3) and inputs.dtype != tf.float64
        if not (training and layer.trainable and is_image) or layer.synchronized or mask is not None:
            return composed(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(layer.gamma, tf.float32) if layer.scale else tf.ones([channels]),
            offset=tf.cast(layer.beta, tf.float32) if layer.center else tf.zeros([channels]),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=layer.epsilon,
            is_training=True,
        )
        pixels = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance *= (pixels - 1) / pixels  # the kernel's has Bessel's correction, that of Keras has not
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + batch * (1 - layer.momentum))
        return outputs

    return call


def restore_statistics(backbone: keras.Model, images: Iterable[tf.Tensor]) -> None:
    """Sets each batch normalization to the statistics of its inputs, without changing the network's function.

    Where batch normalization was folded into the convolutions, it holds no statistics (mean 0, variance 1) and scales
    by 1, and training would diverge: gradients reach each layer at the arbitrary scale of its kernel. With the mean m
    and the variance v of its input, a layer that computes a x + b does the same with the scale a sqrt(v + epsilon) and
    the offset b + a m.

    Args:
        backbone: A model of `build_backbone`.
        images: Batches of normalized images float32 [N, H, W, 3], H and W multiples of 32.
    """
    layers = [layer for layer in batch_norms(backbone) if layer.scale and layer.center]
    inputs = keras.Model(backbone.input, [layer.input for layer in layers])

    @tf.function(autograph=False, reduce_retracing=True)
    def moments(batch: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        return [tf.nn.moments(x, [0, 1, 2]) for x in inputs(batch, training=False)]

    found = [[(mean.numpy(), variance.numpy()) for mean, variance in moments(batch)] for batch in images]
    for layer, batches in zip(layers, zip(*found)):
        means, variances = (np.array(values, np.float64) for values in zip(*batches))
        _set_statistics(layer, means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0))


def _set_statistics(layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    """Sets the statistics, float64 [C], and scale and offset so that the layer's function does not change."""
    gamma, beta, old_mean, old_variance = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    slope = gamma / np.sqrt(old_variance + layer.epsilon)
    offset = beta - slope * old_mean
    layer.set_weights([slope * np.sqrt(variance + layer.epsilon), offset + slope * mean, mean, variance])
