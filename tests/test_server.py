"""The server of exported models: `python -m export.serve`, asked as its callers ask it."""

import base64
import http.client
import importlib
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, Call
from kinds_of_files import write_photo
from PIL import Image
from servers import needs_server, serving, wait_until

from keras_fcn import Predictor, read_image

pytestmark = needs_server

PREDICT, INFER = "/v1/models/keras_fcn:predict", "/v2/models/keras_fcn/infer"


@pytest.fixture(scope="module")
def signature(exported):
    """What the SavedModel itself makes of files."""
    loaded = tf.saved_model.load(str(exported / "1"))

    def segment(*files):
        found = loaded.signatures["serving_default"](image_bytes=tf.constant(files))
        return found["mask_png_bytes"].numpy().tolist(), found["class_shares"].numpy()

    return segment


def drawn(seed, size=(40, 56), kind="PNG"):
    """A file of noise."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(file, kind)
    return file.getvalue()


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def predict(server, *files):
    status, _, body = server.ask("POST", PREDICT, json.dumps({"instances": [b64(data) for data in files]}))
    return status, json.loads(body)


def png_of(prediction):
    return base64.b64decode(prediction["mask_png_bytes"]["b64"])


def test_the_clients_write_the_live_models_masks(server, trained, tmp_path):
    photos = [write_photo(tmp_path, name) for name in ("plain.jpg", "turned 6.jpg")]
    importlib.import_module("export.clients.rest").main(server.model_url, *map(str, photos))
    expected = [Predictor.open(trained)(read_image(photo)) for photo in photos]
    for photo, ids in zip(photos, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(photo.with_suffix(".mask.png"))), ids)
    if shutil.which("curl"):
        script = ROOT / "export/clients/segment.sh"
        subprocess.run([script, photos[1], tmp_path / "mask.png", server.model_url], check=True)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), expected[1])
        call = subprocess.run([script, script, tmp_path / "no", server.model_url], capture_output=True, text=True)
        assert (call.returncode, "image_bytes[0] is neither a JPEG nor a PNG" in call.stderr) == (2, True)


def test_v1_answers_as_the_saved_model_does(server, signature):
    files = [drawn(0), drawn(1, (33, 131), "JPEG"), drawn(2, (1, 1))]
    masks, shares = signature(*files)
    status, answer = predict(server, *files)
    assert (status, [png_of(row) for row in answer["predictions"]]) == (200, masks)
    np.testing.assert_array_equal(np.float32([row["class_shares"] for row in answer["predictions"]]), shares)
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
        assert (status, [base64.b64decode(png["b64"]) for png in pngs]) == (200, masks)


def test_v2_answers_in_json_and_in_binary(server, signature):
    files = [drawn(0), drawn(1, (33, 131), "JPEG")]
    masks, shares = signature(*files)
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    body = {"id": "mine", "inputs": [{**tensor, "data": [b64(data)["b64"] for data in files]}]}
    status, _, content = server.ask("POST", INFER, json.dumps(body))
    answer = json.loads(content)
    assert (status, answer["id"], answer["model_name"], answer["model_version"]) == (200, "mine", "keras_fcn", "1")
    pngs, rows = answer["outputs"]
    assert (pngs["datatype"], pngs["shape"], rows["shape"]) == ("BYTES", [2], list(shares.shape))
    assert [base64.b64decode(text) for text in pngs["data"]] == masks
    np.testing.assert_array_equal(np.float32(rows["data"]).reshape(shares.shape), shares)

    binary = b"".join(struct.pack("<I", len(data)) + data for data in files)
    header = json.dumps({
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(binary)}}],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in ("class_shares", "mask_png_bytes")],
    }).encode()  # fmt: skip
    length = "Inference-Header-Content-Length"
    status, headers, content = server.ask("POST", INFER, header + binary, {length: str(len(header))})
    end = int(headers[length])
    sizes = [output["parameters"]["binary_data_size"] for output in json.loads(content[:end])["outputs"]]
    assert (status, sizes) == (200, [shares.nbytes, sum(4 + len(mask) for mask in masks)])
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", shares.size, end).reshape(shares.shape), shares)
    assert content[end + sizes[0] :] == b"".join(struct.pack("<I", len(mask)) + mask for mask in masks)


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        (PREDICT, b"{", "the body is not JSON: Expecting property name"),
        (PREDICT, b"[]", "the body must be a JSON object"),
        (PREDICT, b"[" * 100_000, "the body is not JSON"),
        (PREDICT, b"{}", 'give either "instances" or "inputs"'),
        (PREDICT, b'{"instances": []}', '"instances" must be a list'),
        (PREDICT, b'{"instances": [{"b64": "AA="}]}', "instances[0] is not base64"),
        (PREDICT, b'{"instances": ["AA=="]}', 'instances[0] must be {"b64": "..."}'),
        (PREDICT, b'{"inputs": [{"b64": 1}]}', "inputs[0] is not base64"),
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
def test_requests_that_are_not_as_the_protocol_says(server, path, body, complaint):
    status, _, content = server.ask("POST", path, body)
    message = json.loads(content)["error"]
    assert (status, message.count("\n")) == (400, 0)
    assert complaint in message


@pytest.mark.parametrize(("announced", "follow"), [(8, struct.pack("<I", 9) + b"abcd"), (5, b"abcdef")])
def test_binary_data_that_do_not_fit_their_lengths(server, announced, follow):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": announced}}
    header = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    status, _, content = server.ask("POST", INFER, header + follow, headers)
    assert status == 400
    assert "image_bytes" in json.loads(content)["error"]
    assert server.ask("POST", INFER, header, {"Inference-Header-Content-Length": "9999"})[0] == 400


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
        for call, complaint in zip(wrong, bad.values(), strict=True):
            status, answer = call.result()
            assert status == 400
            assert answer["error"].startswith(complaint)
            assert answer["error"].endswith("; image_bytes[2] is empty; send the bytes of a JPEG or PNG file")
        for call, mask in zip(right, expected, strict=True):
            status, answer = call.result()
            assert (status, png_of(answer["predictions"][0])) == (200, mask)


def test_a_long_body_is_refused_whether_it_says_its_length_or_not(server):
    for body in (b"x" * 600_000, iter([b"x" * 100_000] * 6)):
        status, _, content = server.ask("POST", PREDICT, body)
        assert status == 413
        assert "the body is longer than 500000 bytes" in json.loads(content)["error"]


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
    assert server.metric("keras_fcn_model_version") == 1
    assert server.metric("keras_fcn_network_seconds_total") > 0


def send_half(server, body):
    """Begins a request and returns its socket, when the server has the first half of the body."""
    waiting = server.metric("keras_fcn_requests_waiting")
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connection.sendall(head + body[: len(body) // 2])
    wait_until(lambda: server.metric("keras_fcn_requests_waiting") > waiting)
    return connection


def finish(connection, body):
    """Sends the other half and returns status, headers and body of the answer."""
    with connection:
        connection.sendall(body[len(body) // 2 :])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def test_a_caller_who_goes_is_counted_and_forgotten(server):
    send_half(server, b"x" * 1000).close()
    wait_until(lambda: server.metric('keras_fcn_requests_total{protocol="v1",status="499"}') == 1)
    assert server.metric("keras_fcn_requests_waiting") == 0


def require_graceful_end(server, sent, mask_of):
    """Sends a signal in the middle of a request: it is answered, nothing new is taken, and the server ends well."""
    data = drawn(0)
    body = json.dumps({"instances": [b64(data)]}).encode()
    connection = send_half(server, body)
    server.process.send_signal(sent)

    def refuses():
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(refuses)
    status, _, content = finish(connection, body)
    assert (status, png_of(json.loads(content)["predictions"][0])) == (200, mask_of(data)[0][0])
    assert server.process.wait(60) == 0
    assert server.log[-1] == "ended: all requests are answered\n"


@pytest.mark.slow
def test_ctrl_c_ends_it_when_all_is_answered(exported, signature):
    with serving(exported) as server:
        require_graceful_end(server, signal.SIGINT, signature)


def test_a_newer_version_is_served_when_it_is_whole_until_sigterm(exported, signature, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported / "1", folder / "1")
    with serving(folder, "--poll-seconds", 0.05) as server:
        (folder / "3").mkdir()
        (folder / "3/saved_model.pb").write_bytes(b"not yet")
        wait_until(lambda: server.metric("keras_fcn_model_load_failures"))
        assert "3: is no SavedModel of python -m export.saved_model" in "".join(server.log)
        stop = threading.Event()

        def ask_on():
            statuses = []
            while not stop.is_set():
                statuses.append(predict(server, drawn(0))[0])
            return statuses

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask_on)
            shutil.copytree(exported / "1", folder / ".2.new")
            (folder / ".2.new").rename(folder / "2")
            wait_until(lambda: server.metric("keras_fcn_model_version") == 2)
            shutil.rmtree(folder / "3")
            shutil.copytree(exported / "1", folder / "3")  # its files have changed: it is tried again
            wait_until(lambda: server.metric("keras_fcn_model_version") == 3)
            stop.set()
            statuses = asking.result()
        assert set(statuses) == {200}
        shutil.rmtree(folder)  # whatever happens there, what is loaded goes on
        assert predict(server, drawn(0))[0] == 200
        assert server.get("/v1/models/keras_fcn")["model_version_status"][0]["version"] == "3"
        require_graceful_end(server, signal.SIGTERM, signature)


def test_limits_of_number_and_time(exported):
    body = json.dumps({"instances": [b64(drawn(0))]}).encode()
    with serving(exported, "--max-waiting", 1, "--timeout", 1.5) as server:
        connection = send_half(server, body)
        status, headers, content = server.ask("POST", PREDICT, body)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "1 requests wait already; come again later" in json.loads(content)["error"]
        with connection:  # its other half never comes
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, json.loads(answer.read())["error"]) == (408, "the request did not arrive in time")
        assert server.ask("POST", PREDICT, body)[0] == 200
        plain = io.BytesIO()
        Image.new("RGB", (800, 800)).save(plain, "JPEG")
        many = json.dumps({"instances": [b64(plain.getvalue())] * 12})
        status, _, content = server.ask("POST", PREDICT, many)
        assert status == 504
        assert "no answer within 1.5 seconds" in json.loads(content)["error"]
        assert wait_until(lambda: server.ask("POST", PREDICT, body)[0] == 200)


def test_mistakes_are_one_line(exported, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken/1").mkdir(parents=True)
    (tmp_path / "broken/1/saved_model.pb").write_bytes(b"nothing")
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, complaint in [
            ([tmp_path / "none"], "none: no such folder; give the DIR of python -m export.saved_model RUN DIR"),
            ([tmp_path / "empty"], "empty: holds no version"),
            ([tmp_path / "file"], "file: is a file; give the folder of an exported model"),
            ([tmp_path / "broken"], "broken/1: is no SavedModel of python -m export.saved_model"),
            ([exported, "--port", port], f"127.0.0.1:{port}: cannot be listened at (Address already in use)"),
            ([exported, "--port", 70000], "--port must be 0 to 65535. Received: 70000"),
            ([exported, "--timeout", 0], "--timeout must be greater than 0. Received: 0"),
            ([exported, "--max-delay-ms", -1], "--max-delay-ms must not be negative. Received: -1"),
            ([exported, "--name", "a/b"], "--name must be usable in an address"),
        ]:
            call = Call("export/serve.py", *words, *([] if "--port" in words else ["--port", 0]))
            assert (call.status, call.err.count("\n")) == (2, 1), call.err
            assert complaint in call.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    call = Call("export/serve.py", exported)
    assert call.status == 2
    assert "serving needs starlette, uvicorn, prometheus_client, which is not installed: pip install -r" in call.err


@pytest.mark.slow
def test_a_killed_server_starts_again_at_the_same_port(exported):
    with serving(exported) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        with serving(exported, "--port", server.port) as again:
            assert again.port == server.port
            assert predict(again, drawn(0))[0] == 200
