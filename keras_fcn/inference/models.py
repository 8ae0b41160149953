"""Loading trained networks of Keras and TensorFlow from files."""

from __future__ import annotations

import hashlib
import itertools
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.errors import UserError, about
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.inference.arrays import ProbabilityFunction, Segment
from keras_fcn.inference.decision import Decision
from keras_fcn.network.parts import Parts, class_table
from keras_fcn.network.torchvision import read_torchvision
from keras_fcn.network.weights.files import holds_tensors, read_weight_file
from keras_fcn.network.weights.keras_files import require_harmless
from keras_fcn.runs.names import ENGINES
from keras_fcn.system.files import lent_suffix, replaced_file, without_wildcards
from keras_fcn.system.text import ZIP_FAULTS, load_json, reason_of

LABELS_FILE = Path("assets.extra/labels.json")
"""The class table of a SavedModel, below its folder."""

SIGNATURE, PROBABILITIES_SIGNATURE = "images", "probabilities"
"""The SavedModel signatures from images to class ids, and to the probabilities of the classes."""


def is_exported(path: Path) -> bool:
    """Returns whether a file's name is that of an export for a program other than TensorFlow."""
    return any(path.suffix.lower() in entry.suffixes for entry in ENGINES.values() if "keras" not in entry.modules)


def require_changeable(path: Path) -> None:
    """Raises UserError if a model is not in a `.keras` file."""
    if path.is_dir() or is_exported(path):
        what = "a SavedModel" if path.is_dir() else "an exported file"
        raise UserError(f"{path}: is {what}, which stays as it is; give its run, and export that again")
    if holds_tensors(path):
        raise UserError(f"{path}: is a file of another program, which stays as it is; give a run or a .keras file")


def keep_temperature(path: Path, temperature: float) -> None:
    """Multiplies the temperature in a `.keras` file, by which its logits are divided where they become probabilities.

    Thresholds in it, which were of other probabilities, are removed.

    Raises:
        UserError: If it cannot be loaded or written.
    """
    model = load_model(path)
    logits = Parts(model).logits
    logits.temperature, logits.thresholds = logits.temperature * temperature, {}
    with replaced_file(path, lasting=True) as temporary:
        model.save(temporary)


def keep_thresholds(path: Path, thresholds: Mapping[str, float]) -> None:
    """Replaces the thresholds in a `.keras` file.

    Args:
        path: The file.
        thresholds: The least probability of classes, by name; none to remove all.

    Raises:
        UserError: If the file cannot be loaded or written, or a name is none of its classes, or the background.
    """
    model = load_model(path)
    Decision.of(thresholds, class_table(model))
    Parts(model).logits.thresholds = dict(thresholds)
    with replaced_file(path, lasting=True) as temporary:
        model.save(temporary)


def with_thresholds(model: keras.Model, texts: Sequence[str]) -> keras.Model:
    """Replaces the thresholds of a network in memory by others, each written NAME=VALUE, and returns it.

    Args:
        model: A network of `build_fcn`.
        texts: The thresholds, or "none"; those of the network stay if it is empty.

    Raises:
        UserError: If a name is none of its classes, or the background.
    """
    if texts:
        classes = class_table(model)
        Parts(model).logits.thresholds = Decision().with_thresholds(texts, classes).by_name(classes)
    return model


def fingerprint_of(model: keras.Model) -> str:
    """Returns 16 hexadecimal digits that networks of the same weights and thresholds have in common."""
    logits = Parts(model).logits
    found = hashlib.sha256(repr((sorted(logits.thresholds.items()), logits.temperature, logits.input_scale)).encode())
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()[:16]


def labels_of(model: keras.Model) -> dict[str, Any]:
    """Returns what lies beside an exported model as JSON: its class table, and what is not the default."""
    logits = Parts(model).logits
    labels = {**logits.classes.to_dict(), **({"thresholds": logits.thresholds} if logits.thresholds else {})}
    labels |= {} if logits.channels == RGB.text else {"channels": logits.channels}
    return labels if logits.input_scale == 1 else {**labels, "input_scale": logits.input_scale}


def load_model(path: Path) -> keras.Model:
    """Loads a `.keras` file of one of our networks, or a `.pth` or `.safetensors` file of one of torchvision's.

    Layers of one's own are those that this process has registered with Keras; see `require_harmless`.

    Raises:
        UserError: If there is no such file, it is damaged, names what could run code of its own, or holds another
            kind of model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a run folder or a .keras file")
    if is_exported(path):
        raise UserError(f"{path}: is an exported file, which only predicts; give its run folder or .keras file")
    if holds_tensors(path):
        tensors = read_weight_file(path)
        with about(path):
            return read_torchvision(tensors)
    try:
        require_harmless(path)
        with lent_suffix(path, ".keras") as named:
            model = keras.models.load_model(named, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, *ZIP_FAULTS) as error:
        if saved_by := _newer_keras(path):
            raise UserError(
                f"{path}: was saved by Keras {saved_by}, which Keras {keras.__version__} here cannot read; "
                f"pip install 'keras>={saved_by}', or save it again with the older one"
            ) from None
        if isinstance(error, UserError):
            raise UserError(f"{path}: {_with_fix(error.marked)}") from None
        raise UserError(_with_fix(f"{path}: cannot be loaded as a .keras model ({reason_of(error)})")) from None
    try:
        class_table(model)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return model


def _with_fix(line: str) -> str:
    return line if "; " in line else f"{line}; copy it again, or give its run folder"


def _newer_keras(path: Path) -> str | None:
    """Returns the version of Keras that saved a `.keras` file, if it is newer than the one here."""
    try:
        with zipfile.ZipFile(path) as archive:
            version = str(load_json(archive.read("metadata.json"))["keras_version"])
    except (OSError, ValueError, KeyError, TypeError, *ZIP_FAULTS):
        return None
    saved, here = ([int(part) for part in re.findall(r"\d{1,9}", text)[:3]] for text in (version, keras.__version__))
    return version if saved > here else None


def load_saved_model(path: Path) -> Any:
    """Loads a SavedModel from a folder of any name, as `tf.saved_model.load` does."""
    with without_wildcards(path) as folder:
        return tf.saved_model.load(str(folder))


def load_saved_functions(
    path: Path,
) -> tuple[Segment, ClassTable, ProbabilityFunction | None, Decision, float, Channels, Callable[[], bool]]:
    """Loads a SavedModel of `python -m export.saved_model`.

    Returns:
        The graph from images to class ids, the class table, the graph to probabilities, if there is one, how class ids
        follow from these, the fraction of its size at which an image is processed, the channels of images, and the
        function that tells whether the network has depthwise convolutions.

    Raises:
        UserError: If it is damaged or was not written by this program.
    """
    try:
        labels = load_json((path / LABELS_FILE).read_text(encoding="utf-8"))
        classes, channels = ClassTable.from_dict(labels), Channels(labels.get("channels", RGB.text))
        decide, scale = Decision.of(labels.get("thresholds", {}), classes), float(labels.get("input_scale", 1))
        loaded = load_saved_model(path)
        loaded.signatures[SIGNATURE]
    except (OSError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
        fix = "export your run with that"
        raise UserError(
            f"{path}: is no SavedModel of python -m export.saved_model ({reason_of(error)}); {fix}"
        ) from None

    # The functions hold `loaded`: a signature alone does not keep its variables alive.
    def segment(images: tf.Tensor) -> tf.Tensor:
        return loaded.signatures[SIGNATURE](images=tf.convert_to_tensor(images))["classes"]

    def probabilities(images: tf.Tensor) -> tf.Tensor:
        return loaded.signatures[PROBABILITIES_SIGNATURE](images=tf.convert_to_tensor(images))["probabilities"]

    score = probabilities if PROBABILITIES_SIGNATURE in loaded.signatures else None
    return segment, classes, score, decide, scale, channels, lambda: has_depthwise(loaded.signatures[SIGNATURE])


def has_depthwise(function: Any) -> bool:
    """Returns whether a loaded function of TensorFlow has depthwise convolutions, in what it calls, too."""
    graph = function.graph.as_graph_def()
    nodes = itertools.chain(graph.node, *(called.node_def for called in graph.library.function))
    return any(node.op == "DepthwiseConv2dNative" for node in nodes)
