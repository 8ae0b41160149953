"""The signatures of an exported SavedModel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from export.formats.file_limits import FileLimits
from export.formats.graph.folding import folded
from export.formats.graph.image_bytes import IMAGE_BYTES, segment_files
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.arrays import softmax_at
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.graphs import cropped, filled, images_of
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE
from keras_fcn.network.parts import Parts
from keras_fcn.network.upscore import Upscore

FILE_SIGNATURE, METADATA_SIGNATURE = "serving_default", "metadata"
"""The signatures from image files to masks as PNG files, and from nothing to the metadata."""

_REDUCTIONS = ("Mean", "Max", "Sum")
"""TensorFlow's operations that pool over axes."""


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


class Signatures(NamedTuple):
    """The signatures of a SavedModel.

    Attributes:
        functions: The functions to save, by name.
        variables: The weights that they share.
    """

    functions: dict[str, tf.types.experimental.GenericFunction]
    variables: list[tf.Variable]


def build_signatures(model: keras.Model, metadata: Metadata) -> Signatures:
    """Returns the signatures of a network, which call one function.

    Args:
        model: A network of `keras_fcn.build_fcn`.
        metadata: The metadata of the SavedModel.
    """
    num_classes, spec = metadata.classes.num_classes, images_of(model)
    network, temperature = _Network(model), Parts(model).logits.temperature

    def segment(images: tf.Tensor) -> tf.Tensor:
        return network.classes(images, lambda logits: metadata.decide.of_logits(logits, temperature))

    @tf.function(autograph=False, input_signature=[IMAGE_BYTES])
    def from_files(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return segment_files(image_bytes, segment, num_classes, metadata.limits)

    @tf.function(autograph=False, input_signature=[spec])
    def to_classes(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"classes": segment(images)}

    @tf.function(autograph=False, input_signature=[spec])
    def to_probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": softmax_at(temperature, network.logits(images))}

    functions = {
        **({FILE_SIGNATURE: from_files} if spec.shape[-1] == 3 else {}),  # a JPEG holds no other channels
        SIGNATURE: to_classes,
        PROBABILITIES_SIGNATURE: to_probabilities,
        METADATA_SIGNATURE: tf.function(metadata.tensors, autograph=False, input_signature=[]),
    }
    return Signatures(functions, network.variables)


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


class _Network:
    """A folded network, as functions that share all but their last steps.

    Classes are chosen before the pixels of an `Upscore` are put into the image's order: that moves a byte of each, not
    a float for every class.

    Args:
        model: A network of `build_fcn`.

    Attributes:
        variables: Its weights.
    """

    def __init__(self, model: keras.Model) -> None:
        parts, network = Parts(model), model
        upscore, self._num_classes = parts.heads[0], parts.logits.classes.num_classes
        self._upscore = None
        if isinstance(upscore, Upscore) and upscore.uses_products and parts.logits.input_scale == 1:
            self._upscore, scorer = upscore, parts.scorer("image")

            def network(images: tf.Tensor, training: bool) -> tf.Tensor:
                return upscore.blocks(keras.tree.flatten(scorer(images, training=training))[0])

        @tf.function(autograph=False, input_signature=[images_of(model)])
        def values(images: tf.Tensor) -> tf.Tensor:
            return network(tf.cast(filled(images), tf.float32), training=False)

        self._values, self.variables = folded(values.get_concrete_function())

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns logits float32 [N, H, W, C] of images uint8 [N, H, W, 3]."""
        return self._of_pixels(tf.cast(self._values(images), tf.float32), images)

    def classes(self, images: tf.Tensor, decide: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Returns class ids uint8 [N, H, W] of images uint8 [N, H, W, 3]; `decide` makes ids of logits [M, C]."""
        values = self._values(images)
        ids = decide(tf.reshape(values, [-1, self._num_classes]))
        ids = tf.reshape(ids, tf.concat([tf.shape(values)[:-1], [1]], 0))
        return self._of_pixels(ids, images)[..., 0]

    def _of_pixels(self, values: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Returns [N, H, W, C] for what the network gives, or is made of that for each pixel."""
        return cropped(values if self._upscore is None else self._upscore.joined(values), images)
