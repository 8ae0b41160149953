"""The loss of a network's scores and its gradient, image by image: a batch's logits are never in memory at once."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.network.layers import Enlarge
from keras_fcn.network.upscore import Upscore
from keras_fcn.training.losses import SegmentationLoss

Parts = tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]
"""Sums and normalizers, float32 [terms], and of each source the sums' gradients, float32 [terms, *its shape]."""


class ScoreLoss:
    """The loss of the logits that a layer upsamples from scores, the outputs of the paper's score layers.

    Logits are by far the largest tensors of a training step, and a loss keeps several of their size. As it is a sum
    over images, a CPU computes logits, loss and gradient for one image after the other. A GPU, which is idle between
    small steps, takes all at once.

    Args:
        layer: From scores [N, H, W, C] to logits [N, s H, s W, num_classes].
        loss: The loss of logits.
        by_image: Whether to take one image after the other.

    Raises:
        ValueError: If the layer has other weights than the kernel of an `Upscore`.
    """

    def __init__(
        self, layer: Upscore | Enlarge | keras.layers.UpSampling2D, loss: SegmentationLoss, by_image: bool = True
    ) -> None:
        self._layer, self._loss, self._by_image = layer, loss, by_image
        self._stride = (layer.strides if isinstance(layer, Upscore) else layer.size)[0]
        self._has_products = isinstance(layer, Upscore) and layer.uses_products
        if layer.weights and not (isinstance(layer, Upscore) and layer.is_plain):
            raise ValueError(f"layer must be an Upscore without bias, or have no weights. Received: {layer.name}")

    def sources(self, scores: tf.Tensor) -> list[tf.Tensor]:
        """Returns the tensors that logits are computed from: first one of each image, [N, ...], then those of all.

        `parts` returns the gradients of the sources; a tape around this call differentiates them by scores and weights.
        """
        if self._has_products:
            return [self._layer.windows(scores), self._layer.quarters()]
        return [scores, *(keras.ops.cast(kernel, scores.dtype) for kernel in self._layer.weights)]

    def parts(self, labels: tf.Tensor, scores: tf.Tensor, sources: list[tf.Tensor]) -> Parts:
        """Returns `SegmentationLoss.parts` of the logits, and the gradients of the sources.

        Args:
            labels: Integers [N, height, width], class ids or 255; logits may reach beyond them, below and on the right.
            scores: [N, H, W, C].
            sources: The result of `sources` for them.
        """
        labels = self._as_logits(labels, scores)
        return self._image_by_image(labels, *sources) if self._by_image else self._at_once(labels, *sources)

    def _as_logits(self, labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns the labels in the order of the logits, void where these reach beyond the image."""
        height, width = (self._stride * tf.shape(scores)[axis] for axis in (1, 2))
        beyond = [[0, 0], [0, height - tf.shape(labels)[1]], [0, width - tf.shape(labels)[2]]]
        labels = tf.pad(labels, beyond, constant_values=VOID_LABEL)
        return self._layer.in_their_order(labels) if self._has_products else labels

    def _logits(self, own: tf.Tensor, *shared: tf.Tensor) -> tf.Tensor:
        if self._has_products:
            return self._layer.products(own, *shared)
        return self._layer.convolved(own, *shared) if shared else self._layer(own)

    def _at_once(self, labels: tf.Tensor, *sources: tf.Tensor) -> Parts:
        """Computes the logits of all images, and differentiates each term separately: their rates are not known yet.

        The rates depend on the pixels of all replicas, and multiply the gradients afterwards.
        """
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(sources)
            sums, normalizers = self._loss.parts(labels, self._logits(*sources))
            terms = tf.unstack(sums)
        gradients = zip(*(tape.gradient(term, sources) for term in terms))
        return sums, normalizers, [_stack(of_source) for of_source in gradients]

    def _image_by_image(self, labels: tf.Tensor, own: tf.Tensor, *shared: tf.Tensor) -> Parts:
        """Returns the result of `_at_once` by a loop over the images, which holds the logits of one at a time.

        Args:
            labels: [N, ...], in the order of the logits.
            own: The source of each image, [N, ...]; its gradients are kept image by image.
            *shared: The sources of all images; their gradients are summed.
        """
        terms, images = len(self._loss.terms), tf.shape(own)[0]
        nothing = [tf.zeros([terms, *shape]) for shape in ([], [], *(one.shape for one in shared))]

        def add(image: tf.Tensor, parts: list[tf.Tensor], of_own: tf.TensorArray) -> tuple:
            sums, normalizers, (gradient, *of_shared) = self._at_once(labels[image][None], own[image][None], *shared)
            added = [total + part for total, part in zip(parts, (sums, normalizers, *of_shared))]
            return image + 1, added, of_own.write(image, gradient[:, 0])  # [terms, 1, ...] without the batch axis

        _, (sums, normalizers, *of_shared), of_own = tf.while_loop(
            lambda image, *_: image < images,
            add,
            (0, nothing, tf.TensorArray(tf.float32, images)),
            parallel_iterations=1,  # more would hold more images' logits
        )
        of_terms = tf.unstack(of_own.stack(), terms, axis=1)  # from [N, terms, ...], each [N, ...]
        return sums, normalizers, [tf.stack(of_terms), *of_shared]


def _stack(gradients: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Returns float32 [terms, ...]; of a single one no copy is made."""
    stacked = tf.stack(gradients) if len(gradients) > 1 else gradients[0][None]
    return tf.cast(stacked, tf.float32)
