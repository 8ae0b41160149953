"""Harnesses of what clients send to the server."""

import base64
import json
import struct

import numpy as np
from changes import of_json
from harness import Harness, refused_in_a_line

from export.server.limits import LimitError
from export.server.model.servable import Mask
from export.server.protocols import v1, v2
from export.server.protocols.base64_text import from_base64

FILE = base64.b64encode(b"\x89PNG...").decode()
MOST = 4
MASKS = [Mask(b"png", np.array([0.25, 0.75], np.float32))]
REFUSED = (v1.BadRequestError, LimitError)


def _require_files(files):
    assert 0 < len(files) <= MOST
    assert all(type(file) is bytes for file in files)


def _strict(text):
    return json.loads(text, parse_constant=v1._refuse_constant)


def check_v1(data):
    with refused_in_a_line(REFUSED):
        request = v1.parse(data, MOST)
        _require_files(request.files)
        _strict(v1.format_answer(MASKS, request.by_columns))


def check_v2(data):
    """The first byte says whether the next two are the length of the JSON before binary data."""
    length, body = (str(int.from_bytes(data[1:3])), data[3:]) if data[:1] == b"\1" else (None, data[1:])
    with refused_in_a_line(REFUSED):
        request = v2.parse(body, length, MOST)
        _require_files(request.files)
        content, headers = v2.format_answer("net", "1", request, MASKS * len(request.files))
        end = int(headers.get(v2.LENGTH_HEADER, len(content)))
        assert _strict(content[:end]).get("id") == request.id


def check_base64(data):
    text = data.decode("latin-1")
    with refused_in_a_line(ValueError):
        found = from_base64(text)
        inner = text.partition(",")[2] if text[:5].lower() == "data:" else text
        plain = "".join(inner.split()).rstrip("=").replace("-", "+").replace("_", "/")
        assert base64.b64encode(found).decode().rstrip("=")[:-1] == plain[:-1]  # the last has bits that say nothing


def _bodies_v1():
    return [
        json.dumps(each).encode()
        for each in (
            {"instances": [{"b64": FILE}, {"image_bytes": {"b64": FILE}}]},
            {"inputs": {"image_bytes": [{"b64": FILE}]}, "signature_name": "serving_default"},
        )
    ]


def _bodies_v2():
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}
    plain = {"id": "a", "inputs": [tensor | {"data": [FILE]}], "outputs": [{"name": "class_shares"}]}
    binary = struct.pack("<I", 5) + b"image"
    parameters = {"binary_data_output": True}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 9}}], "parameters": parameters}).encode()
    return [b"\0" + json.dumps(plain).encode(), b"\1" + struct.pack(">H", len(head)) + head + binary]


def _of_v2(data, rng):
    if data[:1] == b"\0":
        return b"\0" + of_json(data[1:], rng)
    end = 3 + int.from_bytes(data[1:3])
    head = of_json(data[3:end], rng)[:65535]
    return b"\1" + struct.pack(">H", len(head)) + head + data[end:]


ANSWER = "files come out and an answer that is JSON, or one line"

HARNESSES = {
    "v1_body": Harness(ANSWER, _bodies_v1, check_v1, of_json),
    "v2_body": Harness(ANSWER, _bodies_v2, check_v2, _of_v2),
    "base64": Harness(
        "what is decoded is encoded to the same characters, or refused",
        lambda: [FILE.encode(), b"data:image/png;base64," + FILE.encode(), b"_-__", b"QQ", b"QUJD\nQUJD"],
        check_base64,
    ),
}
