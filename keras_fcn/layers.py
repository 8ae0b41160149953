"""The two ends of the network: padding to whole strides, and cropping back to the image."""

from __future__ import annotations

import keras
from keras import ops

from keras_fcn.labels import ClassTable


@keras.saving.register_keras_serializable(package="keras_fcn")
class PadToMultiple(keras.layers.Layer):
    """Pads with zeros below and on the right until height and width are multiples of `multiple`.

    Input shape: [N, H, W, C]. Output shape: [N, ceil(H / multiple) * multiple, the same for W, C].

    Args:
        multiple: The largest stride of the network, in pixels.
    """

    def __init__(self, multiple: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs):
        """Returns the padded tensor."""
        _, height, width, _ = ops.shape(inputs)
        # Not -height % multiple: converted to ONNX, the remainder of a negative number is negative.
        below, right = (self.multiple - 1 - (size - 1) % self.multiple for size in (height, width))
        return ops.pad(inputs, [[0, 0], [0, below], [0, right], [0, 0]])

    def compute_output_shape(self, input_shape):
        """Returns the shape with height and width rounded up, None where they are not known."""
        batch, height, width, channels = input_shape
        height, width = (None if size is None else size + -size % self.multiple for size in (height, width))
        return batch, height, width, channels

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="keras_fcn")
class Logits(keras.layers.Layer):
    """Crops class scores to the image's height and width, and knows which class each channel is.

    The class table is part of the layer's config, so names and colours travel in every `.keras` file.

    Inputs: scores [N, H', W', num_classes] with H' >= H and W' >= W, and the image [N, H, W, C].
    Output shape: [N, H, W, num_classes].

    Args:
        classes: A `ClassTable`, or what its `to_dict` returned.
    """

    def __init__(self, classes: ClassTable | dict, **kwargs) -> None:
        super().__init__(**kwargs)
        self.classes = classes if isinstance(classes, ClassTable) else ClassTable.from_dict(classes)

    def call(self, inputs):
        """Returns the cropped scores."""
        scores, image = inputs
        if None not in image.shape[1:3] and tuple(scores.shape[1:3]) == tuple(image.shape[1:3]):
            return scores  # the gradient of a crop that takes nothing away is a copy
        _, height, width, _ = ops.shape(image)
        return scores[:, :height, :width, :]

    def compute_output_shape(self, input_shape):
        """Returns the scores' shape with the image's height and width."""
        scores, image = input_shape
        return scores[0], image[1], image[2], scores[3]

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes.to_dict()}
