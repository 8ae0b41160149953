"""A SavedModel to be served: the only module of the server that imports TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from export.formats.file_limits import FileLimits
from export.formats.graph.signatures import METADATA_SIGNATURE, sees_whole_image
from export.server.model.engine.network import LargeImages, Network
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import Channels
from keras_fcn.inference.batches import default_batch_size
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.engines.bfloat16 import in_bfloat16, pays
from keras_fcn.inference.engines.engine import Engine, program_in
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE, has_depthwise, load_saved_model
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.text import reason_of


def open_saved_model(folder: Path, large: LargeImages, precision: PrecisionName = "auto") -> Network:
    """Loads a SavedModel of `python -m export.saved_model` of any version of it.

    Args:
        folder: The version folder.
        large: How large images are segmented.
        precision: What it computes in; see `bfloat16.pays`.

    Raises:
        UserError: If it is no such SavedModel, is damaged, or takes images of other than three channels.
    """
    try:
        loaded = load_saved_model(folder)
        network = loaded.signatures[SIGNATURE]
        found = {name: value.numpy() for name, value in loaded.signatures[METADATA_SIGNATURE]().items()}
        signatures = _signatures(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, tf.errors.OpError) as error:
        raise UserError(f"{folder}: is no SavedModel of python -m export.saved_model ({reason_of(error)})") from None
    names = [name.decode() for name in found["class_names"]]
    # Its void colour is of no use here, and must not be one of the classes'.
    colors = tuple((r, g, b) for r, g, b in found["class_colors"].tolist())
    classes = ClassTable(tuple(names), colors, (-1, -1, -1))
    # Exports of before have no thresholds, and no other limits than of pixels.
    values = [float(f"{value:.6g}") for value in found.get("class_thresholds", np.zeros(len(names)))]
    thresholds = tuple(value or None for value in values) if any(values) else ()
    limits = FileLimits(**{name: int(found[name]) for name in FileLimits._fields if name in found})

    def segment(images: np.ndarray) -> np.ndarray:
        return network(images=tf.constant(images))["classes"].numpy()

    def score(images: np.ndarray) -> tf.Tensor:
        return loaded.signatures[PROBABILITIES_SIGNATURE](images=tf.constant(images))[PROBABILITIES_SIGNATURE]

    has_scores, is_lower = PROBABILITIES_SIGNATURE in loaded.signatures, pays(precision, lambda: has_depthwise(network))
    if is_lower:
        segment, score = in_bfloat16(segment), in_bfloat16(score)
    reason = "for this network, which sees the whole image" if sees_whole_image(network) else ""
    channels = Channels(str(network.structured_input_signature[1]["images"].shape[-1]))
    decide = Decision(thresholds=thresholds)
    program, scored = program_in("TensorFlow", is_lower), score if has_scores else None
    engine = Engine(program, classes, segment, scored, decide=decide, channels=channels)
    return Network(folder, engine, large, limits, reason, default_batch_size(), signatures)


def _signatures(folder: Path) -> dict[str, Any]:
    """Returns the signatures as TensorFlow Serving tells them: protobuf's JSON, with values that are not set."""
    message = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = message.meta_graphs[0].signature_def
    as_json = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    return {name: MessageToDict(signatures[name], **as_json) for name in sorted(signatures)}
