"""The bilinear kernel that initializes transposed convolutions."""

from __future__ import annotations

import keras
import numpy as np


def bilinear_kernel(stride: int) -> np.ndarray:
    """Returns the 2-D filter that upsamples by `stride` bilinearly.

    In `Conv2DTranspose(strides=stride, padding="same")`, one copy per class on the channel diagonal, it matches
    half-pixel bilinear resizing except in the outer `stride // 2` pixels, where zeros are padded in.
    (Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015, section 3.3.)

    Args:
        stride: Output pixels per input pixel, at least 1.

    Returns:
        float32 [k, k] with k = 2 * stride - stride % 2; sums to stride ** 2.

    Raises:
        ValueError: If `stride` is less than 1.
    """
    if stride < 1:
        raise ValueError(f"stride must be at least 1. Received: stride={stride}")
    size = 2 * stride - stride % 2
    center = (size - 1) / 2
    tent = 1 - np.abs(np.arange(size) - center) / stride
    return np.outer(tent, tent).astype(np.float32)


@keras.saving.register_keras_serializable(package="keras_fcn")
class Bilinear(keras.initializers.Initializer):
    """Initializes a `Conv2DTranspose` as bilinear upsampling of each class.

    The kernel [k, k, channels, channels] is `bilinear_kernel(stride)` on the channel diagonal and zero elsewhere.

    Args:
        stride: The layer's stride; its kernel size must be 2 * stride - stride % 2.
    """

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def __call__(self, shape, dtype=None):
        """Returns the kernel.

        Raises:
            ValueError: If `shape` is not [k, k, channels, channels] with the stride's k.
        """
        height, width, outputs, inputs = shape
        size = 2 * self.stride - self.stride % 2
        if not height == width == size or outputs != inputs:
            raise ValueError(
                f"Bilinear(stride={self.stride}) makes kernels [{size}, {size}, channels, channels]. "
                f"Received: shape={tuple(shape)}"
            )
        value = bilinear_kernel(self.stride)[:, :, None, None] * np.eye(inputs, dtype=np.float32)
        return keras.ops.convert_to_tensor(value, dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict:
        """Returns the argument of the constructor."""
        return {"stride": self.stride}
