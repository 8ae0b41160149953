"""Servers that tests start: `python -m export.serve` in a process of its own, on a free port."""

import base64
import contextlib
import http.client
import importlib.util
import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
needs_server = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn", "prometheus_client")),
    reason="pip install -r requirements-serve.txt",
)

PREDICT, INFER = "/v1/models/keras_fcn:predict", "/v2/models/keras_fcn/infer"
DEADLINE = 120
"""Seconds for anything that a server must do in the end."""


class RunningServer:
    """A server's process and its address."""

    def __init__(self, process, url, log):
        self.process, self.url, self.log = process, url, log
        self.port = int(url.rsplit(":", 1)[1])
        self.model_url = f"{url}/v1/models/keras_fcn"

    def ask(self, method, path, body=None, headers=None):
        """Returns status, headers and body of an answer, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def get(self, path):
        """Returns the JSON at a path."""
        return json.loads(self.ask("GET", path)[2])

    def metric(self, name):
        """Returns the value of a metric, its labels included in the name."""
        lines = self.ask("GET", "/metrics")[2].decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name), 0.0)


def wait_until(condition):
    """Polls until a condition is true, and returns what it returned."""
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def serving(directory, *options, program=("-m", "export.serve"), seen=False):
    """Runs a server of an exported model while the block runs; if it is `seen`, by SlipCover, too, where that looks."""
    seen = seen and "SLIPCOVER_ENABLED" in os.environ
    program = [Path(__file__).with_name("seen_server.py"), ROOT / ".coverage"] if seen else program
    words = [sys.executable, "-u", *program, directory, "--port", 0, *options]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*map(str, words)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines, log = queue.Queue(), []

    def read():
        for line in process.stdout:
            log.append(line)
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while "listening at http://" not in (line := lines.get(timeout=DEADLINE) or ""):
            assert line, log
        yield RunningServer(process, line.split(" at ")[1].strip().rstrip("/"), log)
        if seen:
            process.terminate()
            process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


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


def ids_in(png):
    """The rows of class ids in a PNG: files that differ may hold the same mask."""
    return np.asarray(Image.open(io.BytesIO(png))).tolist()


def mask_of(prediction):
    return ids_in(base64.b64decode(prediction["mask_png_bytes"]["b64"]))
