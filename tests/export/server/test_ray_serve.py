"""The server as a deployment of Ray Serve, on a Ray that is started on this machine."""

import http.client
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from conftest import ROOT
from servers import needs_server, wait_until

pytestmark = [
    needs_server,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("ray", "fastapi")),
        reason="Ray Serve is not installed: pip install -r requirements-ray.txt",
    ),
]
PROGRAM = """
import socket, sys
import ray
from ray import serve
from export.server.ray_app import deployment
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(deployment({"directory": sys.argv[1], "cpus": "1"}))
print(port, flush=True)
sys.stdin.read()
serve.shutdown()
"""


def replicas(mark):
    """Process ids of replicas that descend from a process with this in its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_replica = b"ServeReplica" in (folder / "cmdline").read_bytes()
            if is_replica and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


@pytest.mark.slow
def test_it_answers_and_a_killed_replica_is_replaced(exported, toy):
    rest = importlib.import_module("export.serving.clients.rest")
    mark = uuid.uuid4().hex
    environment = {**os.environ, "RAY_ADDRESS": "", "RAY_USAGE_STATS_ENABLED": "0", "KERAS_FCN_TEST": mark}
    words = [sys.executable, "-c", PROGRAM, os.path.relpath(exported, ROOT)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(words, cwd=ROOT, env=environment, **pipes) as process:
        port = int(next(line for line in process.stdout if line.strip().isdecimal()))
        url = f"http://127.0.0.1:{port}/v1/models/keras_fcn"
        photo = (toy / "JPEGImages/val_0000.jpg").read_bytes()
        mask = rest.segment(url, [photo])[0]["mask_png_bytes"]
        assert mask.startswith(b"\x89PNG")
        with pytest.raises(ValueError, match=r"image_bytes\[1\] is neither a JPEG nor a PNG"):
            rest.segment(url, [photo, b"words"])

        (killed,) = replicas(mark)
        os.kill(killed, signal.SIGKILL)

        def answers():
            try:
                return rest.segment(url, [photo])[0]["mask_png_bytes"] == mask
            except (OSError, ValueError, http.client.HTTPException):
                return False

        wait_until(answers)
        assert killed not in replicas(mark)
        process.communicate("", timeout=120)
    assert process.returncode == 0
