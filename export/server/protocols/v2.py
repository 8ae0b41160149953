"""The Open Inference Protocol, KServe's V2, over HTTP: tensors in JSON, or in binary after it.

https://github.com/kserve/open-inference-protocol and its extension for binary data. In JSON, files and masks are in
base64; in binary, each follows its length, four bytes, little-endian.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from export.server.model.servable import Mask, Servable
from export.server.protocols.v1 import INPUT, BadRequestError, decoded, load_object, require_few, shown

LENGTH_HEADER = "Inference-Header-Content-Length"
"""The HTTP header with the length of the JSON before binary data."""

PLATFORMS = {
    "TensorFlow": "tensorflow_savedmodel",
    "ONNX Runtime": "onnx_onnxv1",
    "OpenVINO": "openvino_ir",
    "LiteRT": "litert_tflite",
}
"""How the protocol names a program and its format."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A parsed request.

    Attributes:
        files: JPEG and PNG files.
        id: The request's id, repeated in the answer.
        outputs: Names of the requested outputs, with True for binary.
    """

    files: list[bytes]
    id: str | None
    outputs: dict[str, bool]


def parse(body: bytes, header_length: str | None, max_files: int) -> Request:
    """Reads the body of an `infer` request.

    Args:
        body: JSON, or JSON and binary data.
        header_length: The value of `LENGTH_HEADER`, if it was sent.
        max_files: The most files.

    Raises:
        BadRequestError: If it violates the protocol, or does not match the model's inputs.
        LimitError: If it has more files.
    """
    end = len(body) if header_length is None else _length(header_length, len(body))
    message = load_object(body[:end], max_files)
    inputs = message.get("inputs")
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise BadRequestError(f'"inputs" must be a list of one tensor, {INPUT}')
    identity = message.get("id")
    if not isinstance(identity, str | None):
        raise BadRequestError(f'"id" must be a text. Received: {shown(identity)}')
    return Request(_files(inputs[0], body[end:], max_files), identity, _outputs(message))


def _length(text: str, most: int) -> int:
    """Returns the number in a header, at most `most`."""
    if text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most:
        return int(text)
    raise BadRequestError(f"{LENGTH_HEADER} must be a number of bytes within the body. Received: {text[:40]}")


def _files(tensor: dict[str, Any], binary: bytes, max_files: int) -> list[bytes]:
    name, kind, shape = (tensor.get(key) for key in ("name", "datatype", "shape"))
    if (name, kind) != (INPUT, "BYTES"):
        raise BadRequestError(f"the input must be {INPUT} of datatype BYTES. Received: {shown(name)} of {shown(kind)}")
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise BadRequestError(f'{INPUT} must have "data", a list of image files in base64')
        require_few(len(data), max_files)
        files = [decoded(text, f"{INPUT}[{index}]") for index, text in enumerate(data)]
    elif size != len(binary):
        raise BadRequestError(f"binary_data_size of {INPUT} is {shown(size)}, but {len(binary)} bytes follow")
    else:
        files = _split(binary, max_files)
    if not files or shape not in ([len(files)], [len(files), 1]):
        raise BadRequestError(f'"shape" of {INPUT} must be [N], N its files, at least 1. Received: {shown(shape)}')
    return files


def _split(binary: bytes, max_files: int) -> list[bytes]:
    """Returns the elements of a BYTES tensor; raises LimitError if there are more than `max_files`."""
    files: list[bytes] = []
    position = 0
    while position < len(binary):
        start = position + 4
        position = start + int.from_bytes(binary[position:start], "little")
        if position > len(binary):
            raise BadRequestError(f"the binary data of {INPUT} end within its element {len(files)}")
        files.append(binary[start:position])
        require_few(len(files), max_files)
    return files


def _outputs(message: dict[str, Any]) -> dict[str, bool]:
    binary = bool(_parameters(message).get("binary_data_output", False))
    requested = message.get("outputs") or [{"name": name} for name in ("mask_png_bytes", "class_shares")]
    try:
        outputs = {output["name"]: bool(_parameters(output).get("binary_data", binary)) for output in requested}
    except (TypeError, KeyError):
        raise BadRequestError('"outputs" must be a list of {"name": ...}') from None
    unknown = set(outputs) - {"mask_png_bytes", "class_shares"}
    if unknown:
        raise BadRequestError(
            f"outputs are mask_png_bytes and class_shares. Received: {', '.join(map(shown, [*unknown][:3]))}"
        )
    return outputs


def _parameters(part: dict[str, Any]) -> dict[str, Any]:
    parameters = part.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequestError('"parameters" must be a JSON object')
    return parameters


def format_answer(name: str, version: str, request: Request, masks: Sequence[Mask]) -> tuple[bytes, dict[str, str]]:
    """Returns the body and the HTTP headers of the answer."""
    outputs, binary = [], []
    for output, is_binary in request.outputs.items():
        is_png = output == "mask_png_bytes"
        shape = [len(masks)] if is_png else [len(masks), len(masks[0].fractions)]
        tensor: dict[str, Any] = {"name": output, "datatype": "BYTES" if is_png else "FP32", "shape": shape}
        if is_binary:
            content = b"".join(_binary(mask, is_png) for mask in masks)
            binary.append(content)
            tensor["parameters"] = {"binary_data_size": len(content)}
        elif is_png:
            tensor["data"] = [base64.b64encode(mask.png).decode() for mask in masks]
        else:
            tensor["data"] = [float(str(fraction)) for mask in masks for fraction in mask.fractions]
        outputs.append(tensor)
    message: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        message["id"] = request.id
    text = json.dumps(message).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    return b"".join([text, *binary]), {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(text))}


def _binary(mask: Mask, is_png: bool) -> bytes:
    return struct.pack("<I", len(mask.png)) + mask.png if is_png else mask.fractions.astype(np.dtype("<f4")).tobytes()


def model_metadata(name: str, servable: Servable) -> dict[str, Any]:
    """Returns the protocol's metadata of a model, with its classes as parameters."""
    facts = servable.facts
    return {
        "name": name,
        "versions": [servable.version],
        "platform": PLATFORMS[facts.program.partition(",")[0]],  # what follows is the precision
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "mask_png_bytes", "datatype": "BYTES", "shape": [-1]},
            {"name": "class_shares", "datatype": "FP32", "shape": [-1, len(facts.names)]},
        ],
        "parameters": {
            "class_names": facts.names,
            "class_colors": facts.colors,
            **({"class_thresholds": facts.thresholds} if facts.thresholds else {}),
            "max_pixels": servable.max_pixels,
        },
    }
