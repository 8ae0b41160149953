"""Reading requests of too many files or values, without a model: it takes no time and no memory."""

import base64
import json
import re
import struct
from pathlib import Path

import pytest

from export.server.limits import LimitError
from export.server.options import ServeOptions
from export.server.protocols import v1, v2
from export.server.protocols.base64_text import from_base64
from keras_fcn.errors import UserError
from keras_fcn.system.command_line import parse_options

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


DATA = bytes(range(250))
PLAIN = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.encodebytes(DATA).decode(),
        f" {PLAIN[:99]}\r\n\t{PLAIN[99:]}\r\n",
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        f"data:image/png;base64,{PLAIN}",
        f"DATA:image/jpeg;name=a.jpg;BASE64,{base64.encodebytes(DATA).decode()}",
    ],
)
def test_base64_that_can_be_read_in_one_way_is_read(text):
    assert from_base64(text) == DATA


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "it is no text but NoneType"),
        ("AA=", "the = at its end do not fill up 2 characters to a multiple of four"),
        ("AAAAA", "5 characters are one too many or three too few"),
        ("AA+-", "it mixes the alphabet for URLs, - and _, with the other, + and /"),
        ("data:image/png,AAAA", "it is a data URI without ;base64,"),
        ("data:", "it is a data URI without ;base64,"),
        ("http://example.org/a.png", "':' is none of its characters"),
        ("AA*A", "'*' is none of its characters"),
        ("A=AA", "'=' is none of its characters, or stands within it"),
        ("ÄAAA", "only ASCII characters are"),
    ],
)
def test_other_texts_are_not_guessed(text, line):
    with pytest.raises(ValueError, match=re.escape(line)) as caught:
        from_base64(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--cors", "example.org"],
            "--cors takes origins, such as https://example.org or http://localhost:3000, without",
        ),
        (["--cors", "https://example.org/"], "--cors takes origins"),
        (["--models", "a"], "--models takes NAME=DIR"),
        (["--models", "a/b=c"], "--models takes NAME=DIR, names without any of"),
        (["--models", "keras_fcn=c"], "--models and --name: keras_fcn is there twice; name each once"),
        (["--label", "stable"], "--label takes LABEL=N or NAME/LABEL=N"),
        (["--label", "cats/stable=2"], "--label names the model cats, but keras_fcn are served"),
        (["--engine", "torch"], "--engine"),
        (["--max-pixels", "0"], "--max-pixels must be greater than 0"),
    ],
)
def test_options_that_cannot_be_served_are_one_line(words, line):
    with pytest.raises(UserError) as caught:
        parse_options(ServeOptions, ["DIR", *words])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_and_labels_by_name():
    words = ["DIR", "--name", "cats", "--models", "dogs=D=1", "--label", "stable=3", "dogs/stable=04", "dogs/new=5"]
    options = parse_options(ServeOptions, words)
    assert options.folders == {"cats": Path("DIR"), "dogs": Path("D=1")}
    assert options.labels == {"cats": {"stable": "3"}, "dogs": {"stable": "4", "new": "5"}}
