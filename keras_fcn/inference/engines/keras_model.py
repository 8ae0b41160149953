"""Networks of `build_fcn`, computed by Keras in graphs of TensorFlow."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

import keras

from keras_fcn.inference.arrays import Segment
from keras_fcn.inference.engines.bfloat16 import in_bfloat16, pays
from keras_fcn.inference.engines.engine import Engine, program_in
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.engines.sight import sight_of
from keras_fcn.inference.graphs import decision_of, probability_function, segmenter
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import fingerprint_of, load_model
from keras_fcn.network.parts import Parts, class_table
from keras_fcn.runs.names import PrecisionName


def open_keras(path: Path, threads: int = 0, precision: PrecisionName = "auto") -> Engine:
    """Opens a `.keras` file of ours, or a `.pth` or `.safetensors` file of torchvision's.

    Args:
        path: The file.
        threads: Is TensorFlow's own choice, which is made when it starts.
        precision: What it computes in; see `bfloat16.pays`.

    Raises:
        UserError: If it is damaged, or holds another kind of model.
    """
    return engine_of(load_model(path), precision)


def engine_of(model: keras.Model, precision: PrecisionName = "auto") -> Engine:
    """Returns the engine of a network of `build_fcn`.

    Args:
        model: The network.
        precision: What it computes in; see `bfloat16.pays`.

    Raises:
        ValueError: If it is another network.
    """
    if len(model.outputs) > 1:  # an auxiliary head, for training
        model = keras.Model(model.inputs, model.outputs[0], name=model.name)
    classes, score = class_table(model), probability_function(model)
    sight = functools.partial(sight_of, model)
    segment, is_lower = segmenter(model), pays(precision, lambda: Parts(model).has_depthwise)
    if is_lower:
        segment, score = in_bfloat16(segment), in_bfloat16(score)
    return Engine(
        program_in("Keras", is_lower), classes, segment, score, whole_images_of(model), decide=decision_of(model),
        sight=sight, channels=Parts(model).channels,
    )  # fmt: skip


def facts_of(model: keras.Model) -> Facts:
    """Returns what an exported file says of a network of `build_fcn`."""
    logits, sight = Parts(model).logits, None
    with contextlib.suppress(ValueError):  # a layer of a custom backbone that is not known
        sight = sight_of(model)
    return Facts(
        model.name, logits.classes, logits.input_scale, dict(logits.thresholds), sight, Parts(model).channels,
        fingerprint_of(model),
    )  # fmt: skip


def whole_images_of(model: keras.Model) -> WholeImages:
    """Returns the images that a network of `build_fcn` predicts as a whole."""
    logits = Parts(model).logits
    return WholeImages.of(logits.classes.num_classes, logits.input_scale)


def large_image_segmenter(model: keras.Model) -> Segment:
    """Returns the function from images uint8 [N, H, W, 3] to class ids uint8 [N, H, W], in tiles for large images."""
    functions = segmenter(model), probability_function(model), decision_of(model)
    return whole_images_of(model).segmenter(*functions)
