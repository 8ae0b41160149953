"""The layer that upsamples class scores: a transposed convolution, computed as four large matrix products."""

from __future__ import annotations

import keras
from keras import ops

_SMALLEST_STRIDE = 8
"""Below this stride, reordering the products' results takes longer than the convolution."""


@keras.saving.register_keras_serializable(package="keras_fcn")
class Upscore(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with the same weights and results, faster if the kernel is twice the stride.

    With stride s, a kernel of size 2 s and padding "same", an output pixel depends on 2 x 2 inputs and one quarter of
    the kernel's rows and columns. Which ones, depends on the half, upper or lower and left or right, of the s x s
    output pixels of one input. For each of the four pairs of halves, all pixels are the product of a matrix of 2 x 2
    inputs and a matrix of the kernel's values. The usual computation, as the gradient of a convolution with few
    channels and a kernel of 64 x 64, leaves most of a processor's vector units unused.

    Other kernels, strides and options are computed as in `Conv2DTranspose`.

    A loss does not depend on the order of pixels, so it can use the products directly: `windows`, `quarters`,
    `products` and `in_their_order` save it the copy that reorders them. The same methods compute the layer itself.
    (`export.formats.graph.class_graph` writes it as a convolution instead: LiteRT transposes at most six axes.)

    In the shapes below, 4 stands for the pairs of halves, (above, left), (above, right), (below, left), (below, right),
    and for the 2 x 2 inputs of a window in the same order; half = s / 2.
    """

    @property
    def is_plain(self) -> bool:
        """True if the layer is a transposed convolution by its kernel, without dilation, bias and activation."""
        return (
            (self.padding, self.data_format, self.dilation_rate) == ("same", "channels_last", (1, 1))
            and self.output_padding is None
            and not self.use_bias
            and self.activation is keras.activations.linear
        )

    @property
    def uses_products(self) -> bool:
        """True if the layer is computed as matrix products; their gradient keeps 2 x 2 inputs for 4 pairs of halves."""
        stride = self.strides[0]
        return (
            self.is_plain
            and self.kernel_size == (2 * stride, 2 * stride)
            and self.strides == (stride, stride)
            and stride >= _SMALLEST_STRIDE
            and stride % 2 == 0
        )

    def call(self, inputs):
        """Returns [N, s H, s W, filters] for inputs [N, H, W, C]."""
        if not self.uses_products:
            return super().call(inputs)
        return self.joined(self.blocks(inputs))

    def blocks(self, inputs):
        """Returns the outputs in the order of the products, [N, 2, 2, H, W, half, half, filters]."""
        batch, height, width, _ = ops.shape(inputs)
        half = self.strides[0] // 2
        pixels = self.products(self.windows(inputs), self.quarters())
        # A row of the image is [row of inputs, upper or lower half, row of the half]; a column likewise.
        return ops.reshape(pixels, (batch, 2, 2, height, width, half, half, self.filters))

    def joined(self, blocks):
        """Returns [N, s H, s W, C] for [N, 2, 2, H, W, half, half, C], the outputs or what is made of each pixel's."""
        batch, _, _, height, width, half, _, values = ops.shape(blocks)
        pixels = ops.reshape(blocks, (batch, 2, 2, height, width, half, half * values))
        pixels = ops.transpose(pixels, (0, 3, 1, 5, 4, 2, 6))  # [N, H, 2, half, W, 2, half C]
        return ops.reshape(pixels, (batch, 2 * half * height, 2 * half * width, values))

    def convolved(self, inputs, kernel):
        """Returns what the plain layer computes, [N, s H, s W, filters], with a kernel instead of its own."""
        return ops.conv_transpose(inputs, kernel, self.strides, self.padding)

    def windows(self, inputs):
        """Returns the 2 x 2 inputs of every product, [N, 4, H W, 4 C], zeros beyond the border, of inputs [N, H, W, C].

        Upper (left) halves depend on an input and the previous one, lower (right) halves on it and the next one.
        """
        batch, height, width, channels = ops.shape(inputs)
        padded = ops.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])  # [N, H + 2, W + 2, C]
        windows = [  # 4 of [N, H, W, 4 C]
            ops.concatenate(
                [padded[:, y : y + height, x : x + width] for y in (top, top + 1) for x in (left, left + 1)], axis=-1
            )
            for top in (0, 1)
            for left in (0, 1)
        ]
        return ops.reshape(ops.stack(windows, axis=1), (batch, 4, height * width, 4 * channels))

    def quarters(self):
        """Returns the kernel's values for the products, [4, 4 C, half half filters].

        Of the quarters 0 to 3 of the kernel's rows (columns), upper (left) halves use 3 for the previous input and 1
        for their own, lower (right) halves 2 for their own and 0 for the next input.
        """
        kernel, half = ops.cast(self.kernel, self.compute_dtype), self.strides[0] // 2
        filters, channels = kernel.shape[2:]
        kernel = ops.reshape(kernel, (4, half, 4, half, filters, channels))  # [quarter, row, quarter, column, ...]
        kernel = ops.take(ops.take(kernel, (3, 1, 2, 0), axis=0), (3, 1, 2, 0), axis=2)
        # Each axis of quarters is now [above or below (left or right), input of the window].
        kernel = ops.reshape(kernel, (2, 2, half, 2, 2, half, filters, channels))
        kernel = ops.transpose(kernel, (0, 3, 1, 4, 7, 2, 5, 6))  # [halves, 2 x 2 inputs, C, half, half, filters]
        return ops.reshape(kernel, (4, 4 * channels, half * half * filters))

    def products(self, windows, quarters):
        """Returns the layer's outputs in the order of the products, [N, 4 H W half, half, filters]."""
        half = self.strides[0] // 2
        # [N, 4, H W, 4 C] by [4, 4 C, half half filters]; one image without broadcasting, whose gradient is slow
        pixels = ops.matmul(windows[0] if windows.shape[0] == 1 else windows, quarters)
        return ops.reshape(pixels, (ops.shape(windows)[0], -1, half, self.filters))

    def in_their_order(self, values):
        """Returns values of the output's pixels, [N, s H, s W], in the order of `products`, [N, 4 H W half, half]."""
        batch, height, width = ops.shape(values)
        half = self.strides[0] // 2
        # [N, H, above or below, row of the half, W, left or right, column of the half]
        values = ops.reshape(values, (batch, height // (2 * half), 2, half, width // (2 * half), 2, half))
        values = ops.transpose(values, (0, 2, 5, 1, 4, 3, 6))  # [N, 2, 2, H, W, half, half]
        return ops.reshape(values, (batch, -1, half))
