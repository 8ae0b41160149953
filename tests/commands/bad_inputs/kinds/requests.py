"""Requests to a server: bodies that are no JSON, files that are no images, tensors that are none, unknown models."""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import GOOD, HTML, JPEG, png
from commands.bad_inputs.material import encoded, photo
from servers import INFER, PREDICT, RunningServer, serving

from keras_fcn import UserError

KIND = "Requests"


@functools.cache
def _server() -> RunningServer:
    """Starts a server of an ONNX file, which ends with this process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    material.network(material.HELD, "served/1/model.onnx")
    return stack.enter_context(serving(material.HELD / "served", "--max-body-mb", 0.5, "--max-files", 4))


def _asked(method: str, path: str, body: bytes | str | None, headers: dict[str, str]) -> Callable[[Path], object]:
    """Returns a request as a function that raises what the server answers; the server must live on."""

    def ask(_: Path) -> object:
        status, _, answer = _server().ask(method, path, body, headers)
        assert _server().ask("GET", "/v2/health/ready")[0] == 200
        if status == 200:
            return answer.decode()
        if not 400 <= status < 500:
            raise RuntimeError(f"{status}: {answer[:200]!r}")
        raise UserError(json.loads(answer)["error"])

    return ask


def _b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def _tensor(**changes: Any) -> str:
    tensor = {"name": "images", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [0] * 12, **changes}
    return json.dumps({"inputs": [{key: value for key, value in tensor.items() if value is not None}]})


def _bytes(*files: str, **changes: Any) -> str:
    return _tensor(name="image_bytes", shape=[len(files)], datatype="BYTES", data=list(files), **changes)


def _instances(*values: Any) -> str:
    return json.dumps({"instances": list(values)})


def _turned(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 255]) + content[41:]


BODIES: dict[str, tuple[str, bytes | str]] = {
    "V1: an empty body": (PREDICT, ""),
    "V1: no JSON": (PREDICT, "hello"),
    "V1: a web page": (PREDICT, HTML),
    "V1: bytes that are no text": (PREDICT, b'{"instances": "\xff\xfe"}'),
    "V1: JSON cut off": (PREDICT, '{"instances": [{"b64": "'),
    "V1: a list": (PREDICT, "[]"),
    "V1: null": (PREDICT, "null"),
    "V1: nested deeply": (PREDICT, "[" * 50_000),
    "V1: NaN": (PREDICT, '{"instances": [NaN]}'),
    "V1: neither instances nor inputs": (PREDICT, '{"images": []}'),
    "V1: instances and inputs": (PREDICT, '{"instances": [], "inputs": []}'),
    "V1: no instances": (PREDICT, _instances()),
    "V1: instances of numbers": (PREDICT, _instances(1, 2)),
    "V1: an instance of null": (PREDICT, _instances(None)),
    "V1: an instance of an unknown key": (PREDICT, _instances({"image": "x"})),
    "V1: base64 that is none": (PREDICT, _instances({"b64": "%%%"})),
    "V1: base64 of a number": (PREDICT, _instances({"b64": 5})),
    "V1: an empty file": (PREDICT, _instances(_b64(b""))),
    "V1: a file that is a web page": (PREDICT, _instances(_b64(HTML))),
    "V1: a file of another format": (PREDICT, _instances(_b64(encoded(photo(), "BMP")))),
    "V1: a GIF": (PREDICT, _instances(_b64(encoded(photo().quantize(), "GIF")))),
    "V1: a PNG cut off": (PREDICT, _instances(_b64(GOOD[: len(GOOD) // 2]))),
    "V1: a PNG with a turned byte": (PREDICT, _instances(_b64(_turned(GOOD)))),
    "V1: a JPEG cut off in its header": (PREDICT, _instances(_b64(JPEG[:30]))),
    "V1: a PNG that claims 2 gigapixels": (PREDICT, _instances(_b64(png(1 << 16, 1 << 15)))),
    "V1: five files where four are taken": (PREDICT, _instances(*[_b64(GOOD)] * 5)),
    "V1: a body of a megabyte": (PREDICT, "x" * (1 << 20)),
    "V1: an unknown signature": (PREDICT, json.dumps({"signature_name": "nosuch", "instances": [_b64(GOOD)]})),
    "V2: no JSON": (INFER, "hello"),
    "V2: no inputs": (INFER, '{"inputs": []}'),
    "V2: an input of an unknown name": (INFER, _tensor(name="nosuch")),
    "V2: a type that is not taken": (INFER, _tensor(datatype="FP32")),
    "V2: a shape of three axes": (INFER, _tensor(shape=[2, 2, 3])),
    "V2: a negative shape": (INFER, _tensor(shape=[-1, 2, 2, 3])),
    "V2: a shape of a terabyte": (INFER, _tensor(shape=[1, 1 << 20, 1 << 20, 3])),
    "V2: fewer values than the shape": (INFER, _tensor(data=[0] * 11)),
    "V2: values beyond 255": (INFER, _tensor(data=[300] * 12)),
    "V2: negative values": (INFER, _tensor(data=[-1] * 12)),
    "V2: values of letters": (INFER, _tensor(data=["a"] * 12)),
    "V2: no data": (INFER, _tensor(data=None)),
    "V2: no shape": (INFER, _tensor(shape=None)),
    "V2: images of no pixels": (INFER, _tensor(shape=[1, 0, 2, 3], data=[])),
    "V2: two inputs": (INFER, json.dumps({"inputs": json.loads(_tensor())["inputs"] * 2})),
    "V2: an unknown output": (INFER, json.dumps({**json.loads(_tensor()), "outputs": [{"name": "nosuch"}]})),
    "V2: files that are none": (INFER, _bytes("hello")),
}
"""Paths and bodies."""


def cases() -> Iterator[Case]:
    """Yields each request."""
    for what, (path, body) in BODIES.items():
        headers = {"Content-Type": "application/json"}
        yield Case(what, _asked("POST", path, body, headers), lambda folder: None)
    for what, method, path in (
        ("an unknown page", "GET", "/nosuch"),
        ("an unknown model", "POST", "/v1/models/nosuch:predict"),
        ("an unknown version", "GET", "/v1/models/keras_fcn/versions/99"),
        ("an unknown label", "GET", "/v1/models/keras_fcn/labels/nosuch"),
        ("an unknown verb", "POST", "/v1/models/keras_fcn:train"),
        ("a path that leaves the folder", "GET", "/../../etc/passwd"),
    ):
        yield Case(what, _asked(method, path, None if method == "GET" else "{}", {}), lambda folder: None)
    binary = {"Inference-Header-Content-Length": "9999", "Content-Type": "application/octet-stream"}
    yield Case("V2: a header longer than its body", _asked("POST", INFER, _tensor(), binary), lambda folder: None)
    letters = {**binary, "Inference-Header-Content-Length": "many"}
    yield Case("V2: a header's length of letters", _asked("POST", INFER, _tensor(), letters), lambda folder: None)
