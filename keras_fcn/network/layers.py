"""Layers that scale and pad images, and resize class scores to the image's size."""

from __future__ import annotations

from fractions import Fraction

import keras
from keras import ops

from keras_fcn.images.classes import ClassTable


def exact_scale(scale: float) -> Fraction:
    """Returns a scale as a fraction of ten thousandths, so that lengths are rounded in integers, alike everywhere."""
    return Fraction(round(10_000 * scale), 10_000)


def scaled_length(length, scale: float):
    """Returns the height or width of a scaled image, an integer or an integer tensor, at least 1."""
    fraction = exact_scale(scale)
    rounded = (2 * length * fraction.numerator + fraction.denominator) // (2 * fraction.denominator)
    return max(rounded, 1) if isinstance(rounded, int) else ops.maximum(rounded, 1)


@keras.saving.register_keras_serializable(package="keras_fcn")
class ScaleImage(keras.layers.Layer):
    """Resizes images bilinearly, with half-pixel centres, to a fraction of their height and width.

    Input shape: [N, H, W, C]. Output shape: [N, scaled_length(H, scale), scaled_length(W, scale), C].

    Args:
        scale: The fraction, greater than 0, rounded to ten thousandths.
    """

    def __init__(self, scale: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        """Returns the resized images."""
        _, height, width, _ = ops.shape(inputs)
        return _resized(inputs, scaled_length(height, self.scale), scaled_length(width, self.scale))

    def compute_output_shape(self, input_shape):
        """Returns the shape with scaled height and width, None where they are unknown."""
        batch, height, width, channels = input_shape
        height, width = (None if size is None else scaled_length(size, self.scale) for size in (height, width))
        return batch, height, width, channels

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "scale": self.scale}


def _resized(images, height, width):
    """Interpolates along height, then along width; `keras.ops.image.resize` does not take tensors as lengths."""
    for axis, length in ((1, height), (2, width)):
        size = ops.shape(images)[axis]
        step = ops.cast(size, "float32") / ops.cast(length, "float32")
        positions = (ops.cast(ops.arange(length), "float32") + 0.5) * step - 0.5
        positions = ops.clip(positions, 0, ops.cast(size - 1, "float32"))
        before = ops.cast(positions, "int32")
        weight = ops.reshape(positions - ops.cast(before, "float32"), (-1, 1, 1) if axis == 1 else (-1, 1))
        lower, upper = (ops.take(images, index, axis) for index in (before, ops.minimum(before + 1, size - 1)))
        images = lower + (upper - lower) * weight
    return images


@keras.saving.register_keras_serializable(package="keras_fcn")
class Enlarge(keras.layers.Layer):
    """Enlarges features bilinearly by an integer, with half-pixel centres; beyond the border are the features there.

    It takes features of any size in a graph, which `keras.layers.UpSampling2D` does not, and tensors of four axes only.

    Input shape: [N, H, W, C]. Output shape: [N, stride * H, stride * W, C].

    Args:
        stride: The factor, at least 1.
    """

    def __init__(self, stride: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.stride = stride

    @property
    def size(self) -> tuple[int, int]:
        """The factors of height and width."""
        return self.stride, self.stride

    def call(self, inputs):
        """Returns the enlarged features."""
        for axis in (1, 2):
            inputs = self._enlarged(inputs, axis)
        return inputs

    def _enlarged(self, features, axis: int):
        """Interpolates along an axis: the new positions of all features are joined along the next axis."""
        lengths = [*ops.shape(features)]
        border = [[1, 1] if number == axis else [0, 0] for number in range(4)]
        padded = ops.pad(features, border, mode="symmetric")
        before, after = (padded[:, :-2], padded[:, 2:]) if axis == 1 else (padded[:, :, :-2], padded[:, :, 2:])
        offsets = [(position + 0.5) / self.stride - 0.5 for position in range(self.stride)]
        parts = [features + ((before if offset < 0 else after) - features) * abs(offset) for offset in offsets]
        lengths[axis] *= self.stride
        return ops.reshape(ops.concatenate(parts, axis + 1), lengths)

    def compute_output_shape(self, input_shape):
        """Returns the shape with height and width times the factor, None where they are unknown."""
        batch, height, width, channels = input_shape
        height, width = (None if size is None else size * self.stride for size in (height, width))
        return batch, height, width, channels

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "stride": self.stride}


@keras.saving.register_keras_serializable(package="keras_fcn")
class PadToMultiple(keras.layers.Layer):
    """Pads with zeros below and on the right until height and width are multiples of `multiple`.

    Input shape: [N, H, W, C]. Output shape: [N, ceil(H / multiple) * multiple, ceil(W / multiple) * multiple, C].

    Args:
        multiple: The largest stride of the network, in pixels.
    """

    def __init__(self, multiple: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs):
        """Returns the padded tensor."""
        _, height, width, _ = ops.shape(inputs)
        # Not -height % multiple: in ONNX, the remainder of a negative number is negative.
        below, right = (self.multiple - 1 - (size - 1) % self.multiple for size in (height, width))
        return ops.pad(inputs, [[0, 0], [0, below], [0, right], [0, 0]])

    def compute_output_shape(self, input_shape):
        """Returns the shape with height and width rounded up, None where they are unknown."""
        batch, height, width, channels = input_shape
        height, width = (None if size is None else size + -size % self.multiple for size in (height, width))
        return batch, height, width, channels

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="keras_fcn")
class Logits(keras.layers.Layer):
    """Crops or resizes class scores to the image's height and width, and holds the class of each channel.

    Scores of padded images are cropped; with an `input_scale`, they are then resized bilinearly.

    The class table is part of the layer's config, so every `.keras` file contains names and colours.

    Inputs: scores [N, H', W', num_classes], where H' and W' are at least the (scaled) lengths of the image, and the
    image [N, H, W, C].
    Output shape: [N, H, W, num_classes].

    Args:
        classes: A `ClassTable`, or the result of its `to_dict`.
        input_scale: The fraction of the image's size at which the network processed it.
        temperature: The number by which logits are divided where they become probabilities; not in this layer.
        thresholds: The least probability, above 0 and up to 1, with which a pixel gets a class however probable others
            are, by its name; of classes that have one. It is not applied in this layer.
        channels: Which channels of a file the image has, as `Channels` takes them.
    """

    def __init__(
        self,
        classes: ClassTable | dict,
        input_scale: float = 1.0,
        temperature: float = 1.0,
        thresholds: dict[str, float] | None = None,
        channels: str = "3",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.input_scale, self.temperature, self.thresholds = input_scale, temperature, dict(thresholds or {})
        self.channels = channels
        self.classes = classes if isinstance(classes, ClassTable) else ClassTable.from_dict(classes)

    def call(self, inputs):
        """Returns the logits of the image's pixels."""
        scores, image = inputs
        if self.input_scale != 1:
            _, height, width, _ = ops.shape(image)
            seen = (scaled_length(length, self.input_scale) for length in (height, width))
            return _resized(_cropped(scores, *seen), height, width)
        if None not in image.shape[1:3] and tuple(scores.shape[1:3]) == tuple(image.shape[1:3]):
            return scores  # the gradient of a crop is a copy, even if the crop removes nothing
        _, height, width, _ = ops.shape(image)
        return _cropped(scores, height, width)

    def compute_output_shape(self, input_shape):
        """Returns the scores' shape with the image's height and width."""
        scores, image = input_shape
        return scores[0], image[1], image[2], scores[3]

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        config = {**super().get_config(), "classes": self.classes.to_dict(), "input_scale": self.input_scale}
        # Versions that know no temperature, no thresholds, or no channels, read files without them.
        config |= {} if self.temperature == 1 else {"temperature": self.temperature}
        config |= {"thresholds": dict(self.thresholds)} if self.thresholds else {}
        return config if self.channels == "3" else {**config, "channels": self.channels}


def _cropped(scores, height, width):
    return scores[:, :height, :width, :]
