"""The server's start, its limits, newer versions and its end."""

import contextlib
import http.client
import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Call
from onnx_files import ids_of, write_onnx
from PIL import Image
from servers import PREDICT, b64, drawn, mask_of, needs_server, predict, serving, wait_until

from export.saved_model import export_saved_model
from keras_fcn import Predictor
from keras_fcn.inference.models import keep_thresholds, load_model
from keras_fcn.inference.options import InferenceOptions

pytestmark = needs_server
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
    reason="pip install -r requirements-formats.txt",
)


def send_half(server, body):
    """Begins a request and returns its socket, when the server has the first half of the body."""
    arriving = server.metric("keras_fcn_requests_arriving")
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connection.sendall(head + body[: len(body) // 2])
    wait_until(lambda: server.metric("keras_fcn_requests_arriving") > arriving)
    return connection


def finish(connection, body):
    """Sends the other half and returns status, headers and body of the answer."""
    with connection:
        connection.sendall(body[len(body) // 2 :])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def engines_of(server):
    """The processes that the server has started and that have not ended."""
    tasks = Path(f"/proc/{server.process.pid}/task")
    return [child for path in tasks.glob("*/children") for child in path.read_text().split()] if tasks.is_dir() else [0]


def test_a_caller_who_goes_is_counted_and_forgotten(server):
    send_half(server, b"x" * 1000).close()
    wait_until(lambda: server.metric('keras_fcn_requests_total{protocol="v1",status="499"}') == 1)
    assert server.metric("keras_fcn_requests_arriving") == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how many may wait is told by Linux alone")
def test_clients_that_come_at_once_wait_to_be_accepted(server):
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    server.process.send_signal(signal.SIGSTOP)  # it accepts nothing, so all that connect wait
    try:
        with contextlib.ExitStack() as waiting:
            for _ in range(min(most, 600)):
                waiting.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
    finally:
        server.process.send_signal(signal.SIGCONT)


def require_graceful_end(server, sent, segment):
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
    assert (status, mask_of(json.loads(content)["predictions"][0])) == (200, segment(data)[0][0])
    assert server.process.wait(60) == 0
    assert server.log[-1] == "ended: all requests are answered\n"


@pytest.mark.slow
def test_ctrl_c_ends_it_when_all_is_answered(exported, signature):
    with serving(exported) as server:
        require_graceful_end(server, signal.SIGINT, signature)


@pytest.fixture
def decided(trained, tmp_path):
    """A run in which a threshold is kept, that changes its masks, and a large image as a file."""
    image = np.random.default_rng(4).integers(0, 256, (130, 70, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.png")
    run = shutil.copytree(trained, tmp_path / "decided")
    plain = Predictor(run)
    probabilities = plain.probabilities(image)[..., 1:]
    rare = int(probabilities.mean((0, 1)).argsort()[-2])
    keep_thresholds(run / "best.keras", {plain.classes.names[1 + rare]: float(np.median(probabilities[..., rare]))})
    assert (Predictor(run)(image) != plain(image)).any()
    return run, tmp_path / "photo.png"


def test_thresholds_that_are_kept_decide_as_in_predict(decided, tmp_path):
    run, photo = decided
    export_saved_model(load_model(run / "best.keras"), tmp_path / "model")
    with serving(tmp_path / "model", "--tile", 64, 64) as server:
        status, answer = predict(server, photo.read_bytes())
        assert server.get("/v2/models/keras_fcn")["parameters"]["class_thresholds"]
    out = tmp_path / "predicted"
    call = Call("predict.py", run, photo, "--tile", 64, 64, "--precision", "float32", "--write", "masks", "--out", out)
    assert (status, call.status) == (200, 0), call.err
    expected = np.asarray(Image.open(next(out.rglob("photo.png"))))
    assert np.mean(mask_of(answer["predictions"][0]) == expected) > 0.999


@needs_onnx
def test_a_newer_version_is_served_when_it_is_whole_until_sigterm(tmp_path):
    folder = tmp_path / "model"
    write_onnx(folder / "1/model.onnx", both=True)
    with serving(folder, "--poll-seconds", 0.05, "--tile", 64, 64) as server:
        (folder / "3").mkdir()
        (folder / "3/model.onnx").write_bytes(b"not yet")
        wait_until(lambda: server.metric("keras_fcn_model_load_failures"))
        wait_until(lambda: "3/model.onnx: cannot be opened by ONNX Runtime" in "".join(server.log))
        stop = threading.Event()

        def ask_on():
            statuses = []
            while not stop.is_set():
                statuses.append(predict(server, drawn(0))[0])
            return statuses

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask_on)
            write_onnx(folder / ".2.new/model.onnx", both=True)
            (folder / ".2.new").rename(folder / "2")
            wait_until(lambda: server.metric("keras_fcn_model_version") == 2)
            write_onnx(folder / "3/model.onnx", both=True)  # its files have changed: it is tried again
            wait_until(lambda: server.metric("keras_fcn_model_version") == 3)
            stop.set()
            statuses = asking.result()
        assert set(statuses) == {200}
        wait_until(
            lambda: len(engines_of(server)) == 1
        )  # those of replaced versions have ended, that of the first, too
        folder.rename(tmp_path / "elsewhere")  # whatever happens there, the loaded version is served
        wait_until(lambda: server.metric("keras_fcn_model_stale"))
        assert predict(server, drawn(0))[0] == 200
        (state,) = server.get("/v1/models/keras_fcn")["model_version_status"]
        assert (state["version"], state["state"]) == ("3", "AVAILABLE")
        assert "what was loaded as version 3 is still served" in state["status"]["error_message"]
        ids = ids_of(np.asarray(Image.open(io.BytesIO(drawn(0)))))
        require_graceful_end(server, signal.SIGTERM, lambda data: ([ids.tolist()],))


def test_limits_of_number_and_time(exported):
    body = json.dumps({"instances": [b64(drawn(0))]}).encode()
    with serving(exported, "--max-waiting", 1, "--timeout", 1.5, "--tile", 64, 64) as server:
        connection = send_half(server, body)
        assert server.ask("POST", PREDICT, body)[0] == 200  # half a request takes no place from others
        with connection:  # its other half never comes
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            error = json.loads(answer.read())["error"]
            assert (answer.status, error) == (408, "the request did not arrive in time (--timeout)")
        assert server.ask("POST", PREDICT, body)[0] == 200
        large = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(large).save(file, "PNG")
        status, answer = predict(server, file.getvalue())
        expected = Predictor.open(exported, InferenceOptions(tile=(64, 64)))(large)
        assert (status, mask_of(answer["predictions"][0])) == (200, expected.tolist())
        plain = io.BytesIO()
        Image.new("RGB", (1600, 1600)).save(plain, "JPEG")
        many = json.dumps({"instances": [b64(plain.getvalue())] * 24})
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
        for words, message in [
            ([tmp_path / "none"], "none: no such folder; give the DIR of python -m export.saved_model RUN DIR"),
            ([tmp_path / "empty"], "empty: holds no version"),
            ([tmp_path / "file"], "file: is a file; give the folder of an exported model"),
            ([tmp_path / "broken"], "broken/1: is no SavedModel of python -m export.saved_model"),
            ([exported, "--port", port], f"127.0.0.1:{port}: cannot be bound (Address already in use)"),
            ([exported, "--port", 70000], "--port must be in 0 to 65535. Received: 70000"),
            ([exported, "--timeout", 0], "--timeout must be greater than 0. Received: 0"),
            ([exported, "--max-delay-ms", -1], "--max-delay-ms must not be negative. Received: -1"),
            (
                [exported, "--tile", 60, 64],
                "--tile takes multiples of 32, the networks' stride, such as 64 64. Received",
            ),
            ([exported, "--overlap", 544], "--overlap must be at most half of the tile, here 384. Received: 544"),
            ([exported, "--name", "a/b"], "--name must be valid in a URL"),
        ]:
            call = Call("export/serve.py", *words, *([] if "--port" in words else ["--port", 0]))
            assert (call.status, call.err.count("\n")) == (2, 1), call.err
            assert message in call.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    call = Call("export/serve.py", exported)
    assert call.status == 2
    assert (
        "serving: needs starlette, uvicorn, httptools, prometheus_client, which is not installed: pip install -r"
        in call.err
    )


def test_the_process_ends_whatever_its_threads_do():
    code = "import threading, export.serve as s; threading.Thread(target=threading.Event().wait).start(); "
    ended = subprocess.run([sys.executable, "-c", code + "print(1, flush=True); s.end_process()"], cwd=ROOT, timeout=60)
    assert ended.returncode == 0


def test_the_process_ends_within_its_grace_period(monkeypatch):
    import faulthandler

    import uvicorn

    from export.server.process import Server

    begun = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *given, **named: begun.append((given, named)))
    server = Server(uvicorn.Config(None), grace_seconds=7.0)
    server._end()
    server._end()  # does not begin anew
    assert (begun, server.should_exit, server.force_exit) == ([((7.0,), {"exit": True})], True, True)


@pytest.mark.slow
def test_a_killed_server_starts_again_at_the_same_port(exported):
    with serving(exported) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        with serving(exported, "--port", server.port) as again:
            assert again.port == server.port
            assert predict(again, drawn(0))[0] == 200
