"""The signatures of an exported SavedModel."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export.graph.image_bytes import IMAGE_BYTES, segment_files
from export.graph.image_header import FileLimits
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.arrays import softmax_at
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.graphs import IMAGES, for_any_number
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE
from keras_fcn.network.parts import Parts

FILE_SIGNATURE, METADATA_SIGNATURE = "serving_default", "metadata"
"""The signatures from image files to masks as PNG files, and from nothing to the metadata."""

_REDUCTIONS = ("Mean", "Max", "Sum")
"""TensorFlow's operations that pool over axes."""

_MOST_FROZEN_BYTES = 128 << 20
"""The most bytes of weights that become constants; TensorFlow needs some thirty times as much memory to write them."""


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The metadata of a SavedModel.

    Attributes:
        model_name: Name of the model of `build_fcn`: network and backbone.
        version: The number of its folder.
        classes: Names and colours of the ids.
        limits: The limits of an image file.
        decide: How probabilities become classes.
    """

    model_name: str
    version: int
    classes: ClassTable
    limits: FileLimits
    decide: Decision = dataclasses.field(default_factory=Decision)

    def tensors(self) -> dict[str, tf.Tensor]:
        """Returns the metadata as constants.

        They are names string [C], colours uint8 [C, 3] RGB, and thresholds float32 [C], 0 for classes without; the
        others are scalars.
        """
        thresholds = self.decide.by_name(self.classes)
        return {
            "class_names": tf.constant(self.classes.names),
            "class_colors": tf.constant(self.classes.colors, tf.uint8),
            "class_thresholds": tf.constant([thresholds.get(name, 0.0) for name in self.classes.names]),
            "model_name": tf.constant(self.model_name),
            "version": tf.constant(self.version, tf.int64),
            **{name: tf.constant(limit, tf.int64) for name, limit in self.limits._asdict().items()},
        }


def build_signatures(model: keras.Model, metadata: Metadata) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions to save by signature name.

    All of them call one function. Up to 128 MiB, its weights are constants, not variables: TensorFlow then folds batch
    normalization into convolutions and rearranges kernels once, not for every image.

    Args:
        model: A network of `keras_fcn.build_fcn`.
        metadata: The metadata of the SavedModel.
    """
    num_classes = metadata.classes.num_classes
    logits, temperature = _logits(model), Parts(model).logits.temperature

    def segment(images: tf.Tensor) -> tf.Tensor:
        return metadata.decide.of_logits(logits(images), temperature)

    @tf.function(input_signature=[IMAGE_BYTES])
    def from_files(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return segment_files(image_bytes, segment, num_classes, metadata.limits)

    @tf.function(input_signature=[IMAGES])
    def to_classes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"classes": segment(images)}

    @tf.function(input_signature=[IMAGES])
    def to_probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": softmax_at(temperature, logits(images))}

    return {
        FILE_SIGNATURE: from_files,
        SIGNATURE: to_classes,
        PROBABILITIES_SIGNATURE: to_probabilities,
        METADATA_SIGNATURE: tf.function(metadata.tensors, input_signature=[]),
    }


def variables_to_save(model: keras.Model) -> list[tf.Variable]:
    """Returns the variables of the functions of `build_signatures`: none if the weights are constants.

    They are TensorFlow variables, not the Keras variables around them, which would be saved as a second set; sessions
    (saved_model_cli, TensorFlow's C API) would restore the wrong set.
    """
    return [] if _is_frozen(model) else [variable.value for variable in model.variables]


def sees_whole_image(network: tf.types.experimental.ConcreteFunction) -> bool:
    """Returns whether a network averages over all positions, as `--context mean` and squeeze and excitation do.

    What it makes of a tile is then not what it makes of the same pixels in the image, wherever the tile ends.

    Args:
        network: A signature from images to classes or probabilities.
    """
    graph = network.graph.as_graph_def()
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        constants = {node.name: node.attr["value"].tensor for node in nodes if node.op == "Const"}
        for node in nodes:
            axes = constants.get(node.input[1].split(":")[0]) if node.op in _REDUCTIONS else None
            if axes is not None and {1, 2} & set(tf.make_ndarray(axes).ravel().tolist()):
                return True
    return False


def _is_frozen(model: keras.Model) -> bool:
    return sum(math.prod(variable.shape) * 4 for variable in model.variables) <= _MOST_FROZEN_BYTES


def _logits(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the graph from images uint8 [N, H, W, 3] to logits [N, H, W, C]."""

    @tf.function(input_signature=[IMAGES])
    def logits(images: tf.Tensor) -> tf.Tensor:
        return for_any_number(lambda images: model(tf.cast(images, tf.float32), training=False), images)

    if not _is_frozen(model):
        return logits
    frozen = convert_variables_to_constants_v2(logits.get_concrete_function())
    return lambda images: frozen(images)[0]
