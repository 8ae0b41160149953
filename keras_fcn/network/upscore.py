"""The layer that upsamples scores: a transposed convolution, computed as a few large matrix products."""

from __future__ import annotations

import keras
from keras import ops

_SMALLEST_STRIDE = 8
"""Below, moving the products' results into place takes longer than the convolution."""


@keras.saving.register_keras_serializable(package="keras_fcn")
class Upscore(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with the same weights and results, faster for kernels of twice the stride.

    With a kernel of 2 s and padding "same", an output pixel depends on 2 x 2 inputs: on which, and by which quarter of
    the kernel's rows and columns, depends on the half of the s x s pixels of one input that it is in, above or below,
    left or right. For each of the four pairs of halves, all pixels are the product of a matrix of 2 x 2 inputs by a
    matrix of the kernel's values. The usual way, the gradient of a convolution with few channels and a kernel of 64 x
    64, leaves most of a processor's width unused.

    Other kernels, strides and options are computed the usual way.

    A loss, to which the order of pixels is the same, can take the products as they are: `windows`, `quarters`,
    `products` and `in_their_order` spare it the copy that moves them into place.
    """

    @property
    def uses_products(self) -> bool:
        """Whether the layer is computed as matrix products; their gradient keeps 2 x 2 inputs for 4 pairs of halves."""
        stride = self.strides[0]
        return (
            self.kernel_size == (2 * stride, 2 * stride)
            and self.strides == (stride, stride)
            and stride >= _SMALLEST_STRIDE
            and stride % 2 == 0
            and (self.padding, self.data_format, self.dilation_rate) == ("same", "channels_last", (1, 1))
            and self.output_padding is None
            and not self.use_bias
            and self.activation is keras.activations.linear
        )

    def call(self, inputs):
        """Returns [N, s H, s W, filters] for inputs [N, H, W, C]."""
        return self._upsample(inputs, self.strides[0] // 2) if self.uses_products else super().call(inputs)

    def _upsample(self, inputs, half: int):
        batch, height, width, _ = ops.shape(inputs)
        # [4 pairs of halves, N H W, 4 C] by [4 pairs of halves, 4 C, half half filters]
        pixels = ops.matmul(_windows(inputs), _quarters(self.kernel, half))
        pixels = ops.reshape(pixels, (2, 2, -1, width, half, half * self.filters))
        pixels = ops.transpose(pixels, (2, 0, 4, 3, 1, 5))  # [N H, 2, half, W, 2, half filters]
        return ops.reshape(pixels, (batch, 2 * half * height, 2 * half * width, self.filters))

    def windows(self, inputs):
        """Returns the 2 x 2 inputs of every product, [N, 4 pairs of halves, H W, 4 C], for inputs [N, H, W, C]."""
        batch, height, width, channels = ops.shape(inputs)
        windows = ops.reshape(_windows(inputs), (4, batch, height * width, 4 * channels))
        return ops.transpose(windows, (1, 0, 2, 3))

    def quarters(self):
        """Returns the kernel's values that they are multiplied by, [4 pairs of halves, 4 C, s / 2 s / 2 filters]."""
        return _quarters(ops.cast(self.kernel, self.compute_dtype), self.strides[0] // 2)

    def products(self, windows, quarters):
        """Returns the layer's outputs in the order of the products, [N, 4 H W s / 2, s / 2, filters]."""
        half = self.strides[0] // 2
        # Of one image without broadcasting, whose gradient takes longer.
        pixels = ops.matmul(windows[0] if windows.shape[0] == 1 else windows, quarters)
        return ops.reshape(pixels, (ops.shape(windows)[0], -1, half, self.filters))

    def in_their_order(self, values):
        """Returns values of the output's pixels, [N, s H, s W], as `products` orders these, [N, 4 H W s / 2, s / 2]."""
        batch, height, width = ops.shape(values)
        half = self.strides[0] // 2
        values = ops.reshape(values, (batch, height // (2 * half), 2, half, width // (2 * half), 2, half))
        return ops.reshape(ops.transpose(values, (0, 2, 5, 1, 4, 3, 6)), (batch, -1, half))


def _windows(inputs):
    """Returns the 2 x 2 inputs of every pair of halves, [4, N H W, 4 C], with zeros beyond the border.

    Upper (left) halves depend on an input and the one before it, lower (right) ones on it and the one after it.
    """
    _, height, width, channels = ops.shape(inputs)
    padded = ops.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    windows = [
        ops.concatenate(
            [padded[:, y : y + height, x : x + width] for y in (top, top + 1) for x in (left, left + 1)], axis=-1
        )
        for top in (0, 1)
        for left in (0, 1)
    ]
    return ops.reshape(ops.stack(windows), (4, -1, 4 * channels))


def _quarters(kernel, half: int):
    """Returns the kernel's values for every pair of halves, [4, 4 C, half half filters].

    Of the four quarters of the kernel's rows (columns), counted from 0, upper (left) halves take 3 for the input before
    and 1 for their own, lower (right) ones 2 for their own and 0 for the input after it.
    """
    filters, channels = kernel.shape[2:]
    kernel = ops.reshape(kernel, (4, half, 4, half, filters, channels))
    kernel = ops.take(ops.take(kernel, (3, 1, 2, 0), axis=0), (3, 1, 2, 0), axis=2)
    kernel = ops.reshape(kernel, (2, 2, half, 2, 2, half, filters, channels))
    kernel = ops.transpose(kernel, (0, 3, 1, 4, 7, 2, 5, 6))
    return ops.reshape(kernel, (4, 4 * channels, half * half * filters))
