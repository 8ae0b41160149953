"""Scores of the mean features of an image's regions."""

from __future__ import annotations

import keras
from keras import layers, ops

from keras_fcn.network.context.mean import mean_scores

_SIZES = (2, 3, 6)
"""Regions along height and along width, beside the whole image."""


def pyramid_scores(feature, num_classes: int, stride: int) -> list:
    """Scores the mean features of the whole image and of its 2 x 2, 3 x 3 and 6 x 6 regions.

    Zhao et al.: Pyramid Scene Parsing Network, CVPR 2017, section 3.2. There, pooled features are reduced to a quarter
    of their channels before they meet; as scores, they have few enough. Means, enlargement and a 1x1 convolution are
    linear, so each may come first: features are scored, then scores are averaged.

    Args:
        feature: P5 [N, H, W, C].
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, 1, 1, num_classes], and three times [N, H, W, num_classes], zero at first.
    """
    scores = mean_scores(feature, num_classes, stride)
    for size in _SIZES:
        score = layers.Conv2D(
            num_classes, 1, use_bias=False, kernel_initializer="zeros", name=f"score_context{size}"
        )  # fmt: skip
        scores.append(RegionMeans(size, name=f"context{size}")(score(feature)))
    return scores


@keras.saving.register_keras_serializable(package="keras_fcn")
class RegionMeans(layers.Layer):
    """Averages scores over regions, and enlarges the means to the scores' size, bilinearly with half-pixel centres.

    Of n regions along an axis of length L, region i reaches from position floor(i L / n) to before ceil((i + 1) L / n),
    as in PyTorch's `AdaptiveAvgPool2d`: neighbours share a position where n does not divide L, and where L is less than
    n, several are the same. Both steps are products with matrices that the lengths alone tell, which every export takes
    for images of any size.

    Input shape: [N, H, W, C]. Output shape: the same.

    Args:
        size: Regions along height and along width, at least 1.
    """

    def __init__(self, size: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        """Returns the means of the regions, enlarged."""
        _, height, width, _ = ops.shape(inputs)
        return _product(_enlargement(self.size, height), _enlargement(self.size, width), self.means(inputs))

    def means(self, inputs):
        """Returns the means of the regions, [N, size, size, C], of inputs [N, H, W, C]."""
        _, height, width, _ = ops.shape(inputs)
        return _product(_regions(self.size, height), _regions(self.size, width), inputs)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "size": self.size}


def _regions(size: int, length):
    """Returns the matrix of the regions' means along an axis, float32 [size, length]."""
    number, position = ops.arange(size), ops.arange(length)
    begin, end = number * length // size, ((number + 1) * length + size - 1) // size
    is_inside = ops.logical_and(position >= begin[:, None], position < end[:, None])
    return ops.cast(is_inside, "float32") / ops.cast(end - begin, "float32")[:, None]


def _enlargement(size: int, length):
    """Returns the matrix of bilinear interpolation between `size` means along an axis, float32 [length, size]."""
    step = size / ops.cast(length, "float32")
    centre = ops.clip((ops.cast(ops.arange(length), "float32") + 0.5) * step - 0.5, 0, size - 1)
    return ops.relu(1 - ops.abs(centre[:, None] - ops.cast(ops.arange(size), "float32")))


def _product(rows, columns, values):
    """Returns [N, A, B, C], the products of matrices [A, H] and [B, W] with both axes of values [N, H, W, C]."""
    batch, height, width, channels = ops.shape(values)
    rows, columns = (ops.cast(matrix, values.dtype) for matrix in (rows, columns))
    values = ops.matmul(rows, ops.reshape(values, (batch, height, width * channels)))
    made, across = ops.shape(rows)[0], ops.shape(columns)[0]
    values = ops.matmul(columns, ops.reshape(values, (batch * made, width, channels)))
    return ops.reshape(values, (batch, made, across, channels))
