"""The server of exported models: `python -m export.serve`, used as its clients use it."""

import base64
import importlib
import io
import json
import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from kinds_of_files import PHOTOS, shown, write_photo
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from servers import INFER, PREDICT, b64, drawn, ids_in, mask_of, needs_server, predict

from keras_fcn import Predictor, read_image

pytestmark = needs_server


def test_the_clients_write_the_live_models_masks(server, trained, tmp_path):
    photos = [write_photo(tmp_path, name) for name in ("plain.jpg", "turned 6.jpg")]
    importlib.import_module("export.serving.clients.rest").main(server.model_url, *map(str, photos))
    expected = [Predictor.open(trained)(read_image(photo)) for photo in photos]
    for photo, ids in zip(photos, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(photo.with_suffix(".mask.png"))), ids)
    if shutil.which("curl"):
        script = ROOT / "export/serving/clients/segment.sh"
        subprocess.run([script, photos[1], tmp_path / "mask.png", server.model_url], check=True)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), expected[1])
        call = subprocess.run([script, script, tmp_path / "no", server.model_url], capture_output=True, text=True)
        assert (call.returncode, "image_bytes[0] is neither a JPEG nor a PNG" in call.stderr) == (2, True)


def test_every_kind_of_image_is_segmented_as_viewers_show_it(server, trained, tmp_path):
    photos = [write_photo(tmp_path, name) for name in PHOTOS]
    status, answer = predict(server, *(photo.read_bytes() for photo in photos))
    expected = Predictor.open(trained)([shown(photo) for photo in photos])
    assert (status, [mask_of(row) for row in answer["predictions"]]) == (200, [ids.tolist() for ids in expected])


def test_v1_answers_as_the_saved_model_does(server, signature):
    files = [drawn(0), drawn(1, (33, 131), "JPEG"), drawn(2, (1, 1))]
    masks, fractions = signature(*files)
    status, answer = predict(server, *files)
    assert (status, [mask_of(row) for row in answer["predictions"]]) == (200, masks)
    np.testing.assert_array_equal(np.float32([row["class_shares"] for row in answer["predictions"]]), fractions)
    for body in (
        {"instances": [{"image_bytes": b64(data)} for data in files], "signature_name": "serving_default"},
        {"inputs": [b64(data) for data in files]},
        {"inputs": {"image_bytes": [b64(data) for data in files]}},
    ):
        status, _, content = server.ask("POST", "/v1/models/keras_fcn/versions/1:predict", json.dumps(body))
        found = json.loads(content)
        pngs = (
            found["outputs"]["mask_png_bytes"]
            if "inputs" in body
            else [r["mask_png_bytes"] for r in found["predictions"]]
        )
        assert (status, [ids_in(base64.b64decode(png["b64"])) for png in pngs]) == (200, masks)


def test_v2_answers_in_json_and_in_binary(server, signature):
    files = [drawn(0), drawn(1, (33, 131), "JPEG")]
    masks, fractions = signature(*files)
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    body = {"id": "mine", "inputs": [{**tensor, "data": [b64(data)["b64"] for data in files]}]}
    status, _, content = server.ask("POST", INFER, json.dumps(body))
    answer = json.loads(content)
    assert (status, answer["id"], answer["model_name"], answer["model_version"]) == (200, "mine", "keras_fcn", "1")
    pngs, rows = answer["outputs"]
    assert (pngs["datatype"], pngs["shape"], rows["shape"]) == ("BYTES", [2], list(fractions.shape))
    assert [ids_in(base64.b64decode(text)) for text in pngs["data"]] == masks
    np.testing.assert_array_equal(np.float32(rows["data"]).reshape(fractions.shape), fractions)

    binary = b"".join(struct.pack("<I", len(data)) + data for data in files)
    header = json.dumps({
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(binary)}}],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in ("class_shares", "mask_png_bytes")],
    }).encode()  # fmt: skip
    length = "Inference-Header-Content-Length"
    status, headers, content = server.ask("POST", INFER, header + binary, {length: str(len(header))})
    end = int(headers[length])
    sizes = [output["parameters"]["binary_data_size"] for output in json.loads(content[:end])["outputs"]]
    assert (status, sizes) == (200, [fractions.nbytes, len(content) - end - fractions.nbytes])
    np.testing.assert_array_equal(
        np.frombuffer(content, "<f4", fractions.size, end).reshape(fractions.shape), fractions
    )
    position = end + sizes[0]
    for mask in masks:
        (size,) = struct.unpack_from("<I", content, position)
        position += 4 + size
        assert ids_in(content[position - size : position]) == mask
    assert position == len(content)


def test_more_files_than_the_limit_are_refused_in_no_time(server):
    body = json.dumps({"instances": [b64(b"")] * 10_000})
    status, _, content = server.ask("POST", PREDICT, body)
    assert status == 413
    assert "the JSON has more than 2024 values, too many for 128 files (--max-files)" in json.loads(content)["error"]
    status, answer = predict(server, *[b""] * 129)
    assert (status, answer["error"]) == (
        413,
        "the request has 129 files, the limit is 128; send several (--max-files)",
    )


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (PREDICT, b"{", "the body is not JSON: Expecting property name"),
        (PREDICT, b"[]", "the body must be a JSON object"),
        (PREDICT, drawn(0), "the body is an image file; send JSON"),
        (INFER, drawn(0, kind="JPEG"), "the body is an image file; send JSON"),
        (PREDICT, b"\x1f\x8b\x08", "the body is not JSON: it is no text in UTF-8"),
        (PREDICT, b'{"instances": [NaN]}', "the body is not JSON: NaN is no number in JSON"),
        (PREDICT, b"[" * 2_000, "the body is not JSON"),
        (PREDICT, b"{}", 'give either "instances" or "inputs"'),
        (PREDICT, b'{"instances": []}', '"instances" must be a list'),
        (PREDICT, b'{"instances": [{"b64": "AA="}]}', "instances[0] is not base64"),
        (PREDICT, b'{"instances": ["AA=="]}', 'instances[0] must be {"b64": "..."}'),
        (PREDICT, b'{"inputs": [{"b64": 1}]}', "inputs[0] is not base64: it is no text but int"),
        (PREDICT, b'{"instances": [], "signature_name": "images"}', "signature_name must be serving_default"),
        (INFER, b'{"inputs": []}', '"inputs" must be a list of one tensor'),
        (INFER, b'{"inputs": [{"name": "x", "datatype": "BYTES"}]}', "the input must be image_bytes of datatype BYTES"),
        (
            INFER,
            b'{"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [2], "data": [""]}]}',
            '"shape" of image_bytes must be [N]',
        ),
        (
            INFER,
            b'{"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [""]}], '
            b'"outputs": [{"name": "x"}]}',
            "outputs are mask_png_bytes and class_shares",
        ),
    ],
)
def test_requests_that_violate_the_protocol(server, path, body, expected):
    status, _, content = server.ask("POST", path, body)
    message = json.loads(content)["error"]
    assert (status, message.count("\n")) == (400, 0)
    assert expected in message


@pytest.mark.parametrize(("announced", "follow"), [(8, struct.pack("<I", 9) + b"abcd"), (5, b"abcdef")])
def test_binary_data_that_do_not_fit_their_lengths(server, announced, follow):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": announced}}
    header = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    status, _, content = server.ask("POST", INFER, header + follow, headers)
    assert status == 400
    assert "image_bytes" in json.loads(content)["error"]
    for number in ("9999", "9" * 5000, "-1", "1.0"):
        assert server.ask("POST", INFER, header, {"Inference-Header-Content-Length": number})[0] == 400


def test_bad_files_are_named_and_fail_nobody_else(server, signature):
    good = [drawn(seed) for seed in range(4)]
    expected = signature(*good)[0]
    noise = drawn(9, (200, 200))
    bad = {
        b"": "image_bytes[1] is empty",
        b"GIF89a": "image_bytes[1] is a GIF",
        b"words": "image_bytes[1] is neither a JPEG nor a PNG",
        noise[: len(noise) // 2]: "image_bytes[1] is damaged: its pixels cannot be decoded to their end",
    }
    with ThreadPoolExecutor(8) as pool:
        wrong = [pool.submit(predict, server, good[0], data, b"") for data in bad]
        right = [pool.submit(predict, server, data) for data in good]
        for call, expected_error in zip(wrong, bad.values(), strict=True):
            status, answer = call.result()
            assert status == 400
            assert answer["error"].startswith(expected_error)
            assert answer["error"].endswith("; image_bytes[2] is empty; send the bytes of a JPEG or PNG file")
        for call, mask in zip(right, expected, strict=True):
            status, answer = call.result()
            assert (status, mask_of(answer["predictions"][0])) == (200, mask)


def test_a_file_that_takes_long_is_refused_and_counted(server):
    texts, file = PngInfo(), io.BytesIO()
    for number in range(17):
        texts.add_text(f"key {number}", "text", zip=True)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    before = server.metric('keras_fcn_refused_total{limit="max_texts"}')
    status, answer = predict(server, file.getvalue())
    limit = "it has more than 16 texts; the limit is 16 texts (--max-texts of the export)"
    assert (status, answer["error"]) == (400, f"image_bytes[0] takes too long to decode: {limit}")
    assert server.metric('keras_fcn_refused_total{limit="max_texts"}') == before + 1


def test_a_long_body_is_rejected_with_and_without_its_length_in_the_header(server):
    for body in (b"x" * 600_000, iter([b"x" * 100_000] * 6)):
        status, _, content = server.ask("POST", PREDICT, body)
        assert status == 413
        assert "the body is longer than 500000 bytes" in json.loads(content)["error"]


def test_a_compressed_body_is_refused(server):
    status, headers, content = server.ask("POST", PREDICT, b"{}", {"Content-Encoding": "gzip"})
    assert (status, headers["Accept-Encoding"]) == (415, "identity")
    assert "Content-Encoding is 'gzip', but bodies are read as they are" in json.loads(content)["error"]
    assert server.ask("POST", PREDICT, b"{}", {"Content-Encoding": "identity"})[0] == 400


def test_addresses(server, exported):
    assert server.get("/v1/models") == {"models": ["keras_fcn"]}
    assert server.get("/v1/models/keras_fcn")["model_version_status"][0]["state"] == "AVAILABLE"
    assert server.get("/v2/health/live")["live"]
    assert server.get("/v2/health/ready")["ready"]
    assert server.get("/v2/models/keras_fcn/ready") == {"name": "keras_fcn", "ready": True}
    model = server.get("/v2/models/keras_fcn")
    labels = json.loads((exported / "1/assets.extra/labels.json").read_text())
    parameters = model["parameters"]
    assert (parameters["class_names"], parameters["class_colors"]) == (labels["names"], labels["colors"])
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("GET", INFER, 405),
        ("POST", "/v1/models/other:predict", 404),
        ("POST", "/v2/models/keras_fcn/versions/9/infer", 404),
        ("GET", "/v1/models/keras_fcn/versions/9", 404),
    ]:
        found, _, content = server.ask(method, path)
        assert (found, list(json.loads(content))) == (status, ["error"])


def test_metrics_count_answers(server):
    names = [f'keras_fcn_requests_total{{protocol="v1",status="{status}"}}' for status in (200, 400)]
    before = [*map(server.metric, names), server.metric("keras_fcn_batch_images_sum")]
    predict(server, drawn(0), drawn(1))
    predict(server, b"")
    after = [*map(server.metric, names), server.metric("keras_fcn_batch_images_sum")]
    assert np.subtract(after, before).tolist() == [1, 1, 2]
    names = [f'keras_fcn_requests_total{{protocol="{protocol}",status="404"}}' for protocol in ("v1", "v2", "other")]
    before = [*map(server.metric, names)]
    for method, path in [
        ("POST", "/v1/models/other:predict"),
        ("POST", "/v2/models/other/infer"),
        ("GET", "/nothing"),
        ("GET", "/page/none"),
    ]:
        assert server.ask(method, path)[0] == 404
    assert np.subtract([*map(server.metric, names)], before).tolist() == [1, 1, 2]
    before = server.metric('keras_fcn_refused_total{limit="max_body_mb"}')
    server.ask("POST", PREDICT, b"x" * 600_000)
    assert server.metric('keras_fcn_refused_total{limit="max_body_mb"}') == before + 1
    assert server.metric("keras_fcn_connections") == 1
    assert server.metric("keras_fcn_model_version") == 1
    assert server.metric("keras_fcn_network_seconds_total") > 0
