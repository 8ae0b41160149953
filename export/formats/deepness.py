"""ONNX files for the QGIS plugin Deepness, which segments the layers of a map.

The plugin feeds square tiles as float32 [N, 3, S, S] from 0 to 1, takes float32 [N, C, S, S], the probabilities of the
classes, and reads its settings from the file's metadata, each as JSON.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.formats.conversion import Format
from keras_fcn.errors import argument
from keras_fcn.inference.options import InferenceOptions

if TYPE_CHECKING:
    import keras

TILE = 1024
"""Height and width of the tiles in pixels, unless others are chosen."""

_SCALE = np.float32(1 / 255)


def deepness_format(resolution: float, opset: int) -> Format:
    """Returns the format of a file for Deepness.

    Args:
        resolution: Centimetres on the ground per pixel of the images that the network was trained on.
        opset: Version of the operators.
    """
    write = functools.partial(_write, resolution=resolution, opset=opset)
    return Format(
        "ONNX for Deepness", ("model.onnx",), ("onnx", "tf2onnx", "onnxruntime"), (), False, write, score_graph, load
    )


def score_graph(model: keras.Model, size: tuple[int, int] | None) -> Any:
    """Returns the function of a network that Deepness calls, with constant weights.

    Args:
        model: A network of `build_fcn`.
        size: Height and width of all tiles.

    Returns:
        From "images", float32 [N, 3, H, W] from 0 to 1, to a dictionary of "probabilities", float32 [N, C, H, W];
        with thresholds in the network, numbers from 0 to 1 of which the class that they choose has the greatest.
    """
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from keras_fcn.inference.arrays import softmax_at
    from keras_fcn.inference.graphs import decision_of
    from keras_fcn.network.parts import Parts

    Parts(model).channels.require_rgb(argument("deepness"))
    height, width = size or (TILE, TILE)
    spec = tf.TensorSpec([None, 3, height, width], tf.float32, name="images")
    temperature, decide = Parts(model).logits.temperature, decision_of(model)

    @tf.function(autograph=False, input_signature=[spec])
    def scores(images: tf.Tensor) -> tf.Tensor:
        pixels = tf.round(tf.transpose(images, (0, 2, 3, 1)) * 255)  # the very bytes that were divided by 255
        logits = keras.tree.flatten(model(pixels, training=False))[0]
        logits = tf.ensure_shape(tf.cast(logits, tf.float32), [None, height, width, logits.shape[-1]])
        probabilities = softmax_at(temperature, logits)
        if decide.thresholds:  # the plugin takes the class of the greatest number
            numbers = tf.maximum(decide.scores(probabilities), 0)
            probabilities = numbers / tf.reduce_sum(numbers, axis=3, keepdims=True)
        return tf.transpose(probabilities, (0, 3, 1, 2))

    frozen = convert_variables_to_constants_v2(scores.get_concrete_function())
    return tf.function(lambda images: {"probabilities": frozen(images)[0]}, autograph=False, input_signature=[spec])


def _write(graph: Any, path: Path, network: keras.Model, images: object, *, resolution: float, opset: int) -> None:
    import onnx
    import tf2onnx

    from export.formats.graph.softmax import hasten_softmax
    from keras_fcn.network.parts import class_table

    converted, _ = tf2onnx.convert.from_function(graph, graph.input_signature, opset=opset)
    hasten_softmax(converted)
    metadata = metadata_of(class_table(network).names, graph.input_signature[0].shape[2], resolution)
    onnx.helper.set_model_props(converted, {"model_name": network.name, **metadata})
    onnx.checker.check_model(converted)
    onnx.save(converted, path)


def metadata_of(names: tuple[str, ...], tile: int, resolution: float) -> dict[str, str]:
    """Returns the settings that Deepness reads from a file, each as JSON.

    Args:
        names: The classes' names.
        tile: Height and width of the tiles in pixels.
        resolution: Centimetres per pixel.
    """
    overlap = InferenceOptions(tile=(tile, tile)).tile_overlap if tile % 32 == 0 and tile >= 64 else tile // 4
    settings: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(index): name for index, name in enumerate(names)},  # a list is an error in the plugin
        "resolution": resolution,
        "tile_size": tile,  # what the plugin reads; its documentation calls it tiles_size
        "tiles_size": tile,
        "tiles_overlap": -(-100 * overlap // tile),  # percent
        "standardization_mean": [0.0, 0.0, 0.0],  # the graph normalizes
        "standardization_std": [1.0, 1.0, 1.0],
        "seg_thresh": 0.0,  # the most probable class, however probable
        "seg_small_segment": 0,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in settings.items()}


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function of a file as Deepness calls it: images uint8 [N, H, W, 3] to class ids uint8 [N, H, W].

    Args:
        path: The file.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def segment(images: np.ndarray) -> np.ndarray:
        scaled = np.asarray(images).astype(np.float32).transpose(0, 3, 1, 2) * _SCALE
        return session.run(None, {"images": scaled})[0].argmax(1).astype(np.uint8)

    return segment
