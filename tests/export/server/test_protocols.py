"""Reading requests of too many files or values, without a model: it takes no time and no memory."""

import base64
import json
import struct

import pytest

from export.server.limits import LimitError
from export.server.protocols import v1, v2

INPUT = {"name": "image_bytes", "datatype": "BYTES"}


def v1_body(number):
    return json.dumps({"instances": [{"image_bytes": {"b64": base64.b64encode(b"file").decode()}}] * number}).encode()


def v2_body(number):
    return json.dumps({"inputs": [{**INPUT, "shape": [number], "data": ["ZmlsZQ=="] * number}]}).encode()


def v2_binary(number):
    """Returns a body in binary, and the length of its JSON."""
    binary = (struct.pack("<I", 4) + b"file") * number
    tensor = {**INPUT, "shape": [number], "parameters": {"binary_data_size": len(binary)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + binary, str(len(head))


def test_as_many_files_as_the_limit_are_read():
    for most in (1, 3, 500):
        files = [b"file"] * most
        assert v1.parse(v1_body(most), most).files == files
        assert v2.parse(v2_body(most), None, most).files == files
        assert v2.parse(*v2_binary(most), most).files == files


def test_more_files_are_refused():
    for parse in (
        lambda: v1.parse(v1_body(4), 3),
        lambda: v2.parse(v2_body(4), None, 3),
        lambda: v2.parse(*v2_binary(4), 3),
    ):
        with pytest.raises(LimitError, match=r"the request has 4 files, the limit is 3; .* \(--max-files\)") as caught:
            parse()
        assert (caught.value.limit, caught.value.status) == ("max_files", 413)


@pytest.mark.parametrize(
    "part", [b"[]", b"1", b'{"a":1}', b'{"b64":""}', b'"\\u0041"', b'"a":2'], ids=lambda part: part.decode()
)
def test_values_that_no_files_take_are_counted_before_they_are_parsed(monkeypatch, part):
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("it was parsed"))
    body = b'\n {"x":[' + b",".join([part] * 5000) + b"]}"
    for parse in (v1.parse, lambda body, most: v2.parse(body, None, most)):
        with pytest.raises(LimitError, match=r"the JSON has more than 2024 values, too many for 128 files"):
            parse(body, 128)
        for other in (body.decode().encode("utf-16"), b"\x1f\x8b\x08" + body):
            with pytest.raises(v1.BadRequestError, match=r"the body is not JSON: it does not begin with \{"):
                parse(other, 128)
