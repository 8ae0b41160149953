"""Serves a model, asks for a mask, moves a newer version there, and asks again: `python serving.py FOLDER`.

The server is a process of its own, whose calls count; this one's do not. The masks become a file in FOLDER/out. An
answer may be an error once; the next one is right, and the newer version is served in the end.
"""

import ctypes
import http.client
import json
import os
import runpy
import signal
import socket
import sys
import time
from pathlib import Path

from servers import PREDICT, b64, drawn, mask_of

MODEL = PREDICT.removesuffix(":predict")
PATIENCE = 60
"""Seconds until what must come is given up: the machine may be busy."""


class ServerEndedError(Exception):
    """The server has ended, with an exit status."""


def start(folder, port):
    """Starts the server in a fork of this process; returns its number. The calls of this process count no more."""
    if child := os.fork():
        os.environ.pop("FAULTS_UNDER")
        ctypes.CDLL(None).faults_begin()
        return child
    sys.argv = ["export.serve", str(folder), "--port", str(port), "--poll-seconds", "0.1"]
    runpy.run_module("export.serve", run_name="__main__", alter_sys=True)
    raise AssertionError("it ends itself")


def ask(server, port, method, path, body=None):
    """Returns status and content of an answer; 0 if there was none. Raises ServerEndedError if the server has ended."""
    done, status = os.waitpid(server, os.WNOHANG)
    if done:
        raise ServerEndedError(os.waitstatus_to_exitcode(status))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        time.sleep(0.02)
        return 0, None
    finally:
        connection.close()


def until(condition):
    """Polls until a condition holds; raises TimeoutError if it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def mask(server, port):
    """Returns the mask of an image; at most one answer before is an error."""
    body = json.dumps({"instances": [b64(drawn(0))]})
    for _ in range(2):
        status, content = ask(server, port, "POST", PREDICT, body)
        if status == 200:
            return mask_of(content["predictions"][0])
        assert list(content) == ["error"], content
    raise AssertionError(f"two answers were errors: {status} {content}")


def main(work):
    """Asks for both masks; returns the exit status of the server."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server, masks = start(work / "models", port), {}
    try:
        until(lambda: ask(server, port, "GET", MODEL)[0] == 200)
        masks["1"] = mask(server, port)
        (work / "next").rename(work / "models/2")
        until(lambda: '"2"' in json.dumps(ask(server, port, "GET", MODEL)[1]))
        masks["2"] = mask(server, port)
    except ServerEndedError as end:
        return end.args[0]
    (work / "out").mkdir(exist_ok=True)
    (work / "out/masks.json").write_text(json.dumps(masks))
    os.kill(server, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
