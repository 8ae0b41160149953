"""TensorFlow Serving's REST protocol, which KServe calls V1: JSON with image files in base64.

https://www.tensorflow.org/tfx/serving/api_rest; `instances` are answered by rows, `inputs` by columns.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import reprlib
from collections.abc import Sequence
from typing import Any

from export.server.limits import LimitError
from export.server.model.servable import Mask, Servable
from export.server.protocols.base64_text import from_base64
from keras_fcn.system.text import reason_of

INPUT = "image_bytes"
"""The input of the signature `serving_default`."""

_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
"""The first bytes of image files that a client may send as they are."""


_VALUES_PER_FILE, _MORE_VALUES = 8, 1000
"""The most JSON values that a file takes, and all else in a request together."""

_SHOWN = reprlib.Repr()
_SHOWN.maxlevel, _SHOWN.maxstring = 1, 60

_BEGINNING = 64
"""Bytes at the beginning of a body of many values in which its JSON begins."""


class BadRequestError(ValueError):
    """A request that violates the protocol: the fault and the expected form, in one line."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A parsed request.

    Attributes:
        files: JPEG and PNG files.
        by_columns: Whether the answer lists masks and fractions separately, not file by file.
    """

    files: list[bytes]
    by_columns: bool = False


def parse(body: bytes, max_files: int) -> Request:
    """Reads the body of a `:predict` request.

    Args:
        body: JSON.
        max_files: The most files.

    Raises:
        BadRequestError: If it violates the protocol, or names another signature than `serving_default`.
        LimitError: If it has more files.
    """
    message = load_object(body, max_files)
    signature = message.get("signature_name") or "serving_default"
    if signature != "serving_default":
        raise BadRequestError(
            f"signature_name must be serving_default, the one served here. Received: {shown(signature)}"
        )
    given = [key for key in ("instances", "inputs") if key in message]
    if len(given) != 1:
        raise BadRequestError('give either "instances" or "inputs", a list of {"b64": "..."}')
    (key,) = given
    values = message[key]
    if key == "inputs" and isinstance(values, dict) and set(values) == {INPUT}:
        values = values[INPUT]
    if not isinstance(values, list) or not values:
        raise BadRequestError(f'"{key}" must be a list of {{"b64": "..."}} that is not empty')
    require_few(len(values), max_files)
    return Request([_file(value, f"{key}[{index}]") for index, value in enumerate(values)], key == "inputs")


def shown(value: object) -> str:
    """Returns what a client sent, for a line: its beginning, of whatever depth and length it is."""
    return _SHOWN.repr(value)


def require_few(number: int, max_files: int) -> None:
    """Raises LimitError if a request has more files than the limit."""
    if number > max_files:
        raise LimitError("max_files", 413, f"the request has {number} files, the limit is {max_files}; send several")


def load_object(body: bytes, max_files: int) -> dict[str, Any]:
    """Returns the JSON object of a body.

    Raises:
        BadRequestError: If it is not a JSON object.
        LimitError: If it has more values than requests of `max_files` files: Python's parser stops all threads.
    """
    if body.startswith(_IMAGES):
        raise BadRequestError('the body is an image file; send JSON, {"instances": [{"b64": "the file in base64"}]}')
    most = _VALUES_PER_FILE * max_files + _MORE_VALUES
    if sum(map(body.count, (b",", b"[", b"{"))) > most:
        if not body[:_BEGINNING].lstrip().startswith((b"{", b"[")):
            raise BadRequestError("the body is not JSON: it does not begin with { in UTF-8")
        raise LimitError("max_files", 413, f"the JSON has more than {most} values, too many for {max_files} files")
    try:
        # Base64 as `base64 FILE` prints it has line breaks, which JSON wants escaped.
        message = json.loads(body, parse_constant=_refuse_constant, strict=False)
    except UnicodeDecodeError:
        raise BadRequestError("the body is not JSON: it is no text in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {reason_of(error)}") from None
    if not isinstance(message, dict):
        raise BadRequestError("the body must be a JSON object")
    return message


def _refuse_constant(name: str) -> None:
    """Raises ValueError for NaN and Infinity, which Python reads and writes, but JSON has not (RFC 8259, 6)."""
    raise ValueError(f"{name} is no number in JSON")


def _file(value: object, where: str) -> bytes:
    if isinstance(value, dict) and set(value) == {INPUT}:
        value = value[INPUT]
    if not isinstance(value, dict) or set(value) != {"b64"}:
        raise BadRequestError(f'{where} must be {{"b64": "..."}}, an image file in base64')
    return decoded(value["b64"], where)


def decoded(text: object, where: str) -> bytes:
    """Decodes base64; raises BadRequestError if the text is not base64."""
    try:
        return from_base64(text)
    except ValueError as error:
        raise BadRequestError(f"{where} is not base64: {error}") from None


def format_answer(masks: Sequence[Mask], by_columns: bool) -> bytes:
    """Returns the body of the answer; fractions have the digits of float32."""
    pngs = [{"b64": base64.b64encode(mask.png).decode()} for mask in masks]
    fractions = [[float(str(fraction)) for fraction in mask.fractions] for mask in masks]
    if by_columns:
        return json.dumps({"outputs": {"mask_png_bytes": pngs, "class_shares": fractions}}).encode()
    rows = [{"mask_png_bytes": png, "class_shares": row} for png, row in zip(pngs, fractions)]
    return json.dumps({"predictions": rows}).encode()


def status(name: str, servables: Sequence[Servable], warning: str) -> dict[str, Any]:
    """Returns the status of versions in TensorFlow Serving's form, and in that of KServe's V1, with a warning or ""."""
    found = {"error_code": "OK", "error_message": warning}
    states = [{"version": one.version, "state": "AVAILABLE", "status": found} for one in servables]
    return {"name": name, "ready": True, "model_version_status": states}
