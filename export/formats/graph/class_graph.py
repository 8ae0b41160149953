"""The graph from images to class ids or probabilities for programs other than TensorFlow, in few operations."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_fcn.inference.arrays import softmax_at
from keras_fcn.inference.engines.engine import IDS, PROBABILITIES
from keras_fcn.inference.graphs import decision_of
from keras_fcn.network.initializers import Bilinear
from keras_fcn.network.layers import Enlarge, scaled_length
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import ExportedName

INPUT = "images"
"""The name of an exported file's input; its outputs are those of `keras_fcn.inference.engines.engine`."""


def class_graph(
    model: keras.Model,
    size: tuple[int, int] | None = None,
    classes_first: bool = False,
    output: ExportedName = "ids",
    batch: int | None = None,
) -> tf.types.experimental.GenericFunction:
    """Returns the function of a network with constant weights, optimized for other programs.

    The last upsampling, a transposed convolution of kernel 2 s and stride s, is written as a 2 x 2 convolution that
    returns s x s pixels at once (Shi et al., CVPR 2016, appendix). It computes what `Upscore` does, whose products are
    transposed along seven axes: LiteRT supports six, and int8 quantizes convolutions best. The argmax comes before
    depth to space, which then moves one byte per pixel instead of a logit for each class; with an input scale, it comes
    after the logits are those of the image's pixels. Thresholds that are kept in the
    network decide instead of the argmax.

    Args:
        model: A network of `build_fcn`.
        size: Height and width of all images; any size if not given.
        classes_first: Whether channels and classes are before height and width, not the last axis, as OpenVINO and
            ONNX Runtime compute: argmax is then ten times faster in OpenVINO, and nothing large is transposed; LiteRT
            would be slower.
        output: What it returns.
        batch: The number of images in a call; any number if not given.

    Returns:
        From "images", uint8 [N, H, W, channels], to a dictionary of "classes", uint8 [N, H, W], "probabilities",
        float32 [N, H, W, C], or both.
    """
    parts = Parts(model)
    channels = parts.channels.count
    spec = tf.TensorSpec([batch, *(size or (None, None)), channels], tf.uint8, name=INPUT)
    input_scale, upscore, scorer = parts.logits.input_scale, parts.heads[0], parts.scorer("normalized")
    decide, temperature = decision_of(model).of_logits, parts.logits.temperature
    convolve, stride = _last_upsampling(upscore, parts.logits.classes.num_classes)

    def cropped(pixels: tf.Tensor, height, width) -> tf.Tensor:
        """Returns [N, height, width, C] of [N, H + 1, W + 1, s s C], whose pixels begin s/2 before the image's."""
        border = stride // 2
        return tf.nn.depth_to_space(pixels, stride)[:, border : border + height, border : border + width]

    @tf.function(autograph=False, input_signature=[spec])
    def computed(images: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = _lengths(images)
        scaled_size = [scaled_length(length, input_scale) for length in lengths]
        scaled = tf.cast(images, tf.float32)
        if input_scale != 1:
            scaled = tf.image.resize(scaled, scaled_size)
        padded = parts.normalize(scaled, classes_first)
        # LiteRT's converter loses the number of channels in a padding by a computed amount.
        padded = tf.reshape(padded, tf.stack([-1, *_lengths(padded), channels]))
        logits = convolve(tf.cast(keras.tree.flatten(scorer(padded, training=False))[0], tf.float32))
        found = {}
        if input_scale == 1 and output != "probabilities":  # ids [N, H + 1, W + 1, s s], then [N, height, width]
            ids = _ids_of_pixels(logits, stride, lambda values, axis: decide(values, temperature, axis), classes_first)
            found[IDS] = cropped(ids, *lengths)[..., 0]
        if input_scale == 1 and output == "ids":
            return found
        logits = cropped(logits, *scaled_size)  # those of the image's pixels
        if input_scale != 1:
            logits = tf.image.resize(logits, lengths)
            if output != "probabilities":
                moved, axis = (tf.transpose(logits, (0, 3, 1, 2)), 1) if classes_first else (logits, 3)
                found[IDS] = decide(moved, temperature, axis)
        if output != "ids":
            found[PROBABILITIES] = softmax_at(temperature, logits)
        return found

    concrete = computed.get_concrete_function()
    frozen, names = convert_variables_to_constants_v2(concrete), sorted(concrete.structured_outputs)
    return tf.function(lambda images: dict(zip(names, frozen(images))), autograph=False, input_signature=[spec])


def _last_upsampling(
    layer: keras.layers.Conv2DTranspose | Enlarge, num_classes: int
) -> tuple[Callable[[tf.Tensor], tf.Tensor], int]:
    """Returns the function from scores [N, H, W, C] to the logits of s s pixels each, shifted by s/2 pixels, and s.

    Logits are [N, H + 1, W + 1, s s C]. Bilinear resizing is the same with a kernel of its own, but goes on beyond the
    border with the scores there instead of zeros.
    """
    if isinstance(layer, Enlarge):
        stride, beyond = layer.stride, "SYMMETRIC"
        kernel = Bilinear(stride)((2 * stride, 2 * stride, num_classes, num_classes))
    else:
        stride, beyond, kernel = layer.strides[0], "CONSTANT", layer.kernel
    # Of the kernel's rows (columns), the second half belongs to the input before, the first to the one after:
    # [2 s, 2 s, C out, C in] is cut into halves, which are reversed to be the convolution's 2 x 2 positions, and
    # becomes [2, 2, C in, s s C out].
    kernel = np.asarray(kernel).reshape(2, stride, 2, stride, num_classes, num_classes)
    kernel = kernel[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, num_classes, -1)

    def convolve(scores: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(scores, [[0, 0], [1, 1], [1, 1], [0, 0]], beyond)  # [N, H + 2, W + 2, C]
        return tf.nn.conv2d(padded, tf.constant(kernel), 1, "VALID")

    return convolve, stride


def _ids_of_pixels(
    logits: tf.Tensor, stride: int, decide: Callable[[tf.Tensor, int], tf.Tensor], classes_first: bool
) -> tf.Tensor:
    """Returns ids uint8 [N, H, W, s s] for logits [N, H, W, s s C], by a function of logits and the classes' axis."""
    lengths, classes = _lengths(logits), logits.shape[3] // stride**2
    if not classes_first:
        return decide(tf.reshape(logits, tf.stack([-1, *lengths, stride**2, classes])), 4)
    moved = tf.reshape(tf.transpose(logits, (0, 3, 1, 2)), tf.stack([-1, stride**2, classes, *lengths]))
    return tf.transpose(decide(moved, 2), (0, 2, 3, 1))


def _lengths(tensor: tf.Tensor) -> list:
    """Returns height and width of a tensor [N, H, W, C], as integers where they are static."""
    return [tensor.shape[axis] or tf.shape(tensor)[axis] for axis in (1, 2)]
