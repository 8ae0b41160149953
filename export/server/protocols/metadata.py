"""The metadata of a model as TensorFlow Serving's REST protocol answers it.

The form is protobuf's JSON of `GetModelMetadataResponse`, with field names as in the .proto files, values that are not
set, and 64-bit integers as texts.
"""

from __future__ import annotations

from typing import Any

from export.server.model.servable import Servable
from export.server.protocols.v1 import INPUT

METHOD = "tensorflow/serving/predict"


def model_metadata(name: str, servable: Servable) -> dict[str, Any]:
    """Returns the metadata: of a SavedModel all its signatures, of other files `serving_default`, which is served."""
    signatures = servable.facts.signatures or {"serving_default": _served(len(servable.facts.names))}
    return {
        "model_spec": {"name": name, "signature_name": "", "version": servable.version},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _served(num_classes: int) -> dict[str, Any]:
    """Returns the signature from files to masks, as a SavedModel of `python -m export.saved_model` has it."""
    return {
        "inputs": {INPUT: _tensor(INPUT, "DT_STRING", -1)},
        "outputs": {
            "class_shares": _tensor("class_shares", "DT_FLOAT", -1, num_classes),
            "mask_png_bytes": _tensor("mask_png_bytes", "DT_STRING", -1),
        },
        "method_name": METHOD,
        "defaults": {},
    }


def _tensor(name: str, kind: str, *sizes: int) -> dict[str, Any]:
    shape = {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": False}
    return {"name": f"{name}:0", "dtype": kind, "tensor_shape": shape}
