"""Requests for masks by many clients at once, and whether each answer is right."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import time

import numpy as np
from PIL import Image

LEAST_AGREEMENT = 0.999
"""Share of a mask's pixels that must be the SavedModel's: sums of floats in batches may differ in the last bit."""

PREDICT = "/v1/models/keras_fcn:predict"


def server_metric(port: int, name: str) -> float:
    """Returns a number of the server's /metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


class Load:
    """Requests of a kind, and what is right as an answer.

    Args:
        files: The photographs.
        masks: Their masks, uint8 [H, W].
        bad: Share of requests whose file is broken off.
    """

    def __init__(self, files: list[bytes], masks: list[np.ndarray], bad: float) -> None:
        broken = [files[0][: len(files[0]) // 2], b"", b"words", b"GIF89a"]
        self._good, self._bad = ([self._body(file) for file in group] for group in (files, broken))
        self._masks = masks
        self._every = round(1 / bad) if bad else 0

    @staticmethod
    def _body(file: bytes) -> bytes:
        return json.dumps({"instances": [{"b64": base64.b64encode(file).decode()}]}).encode()

    def ask(self, connection: http.client.HTTPConnection, number: int) -> tuple[str, float]:
        """Sends the request of a number; returns "good", "refused" or what went wrong, and the seconds it took."""
        is_bad = self._every and number % self._every == self._every - 1
        bodies = self._bad if is_bad else self._good
        started = time.perf_counter()
        connection.request("POST", PREDICT, bodies[number % len(bodies)])
        answer = connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - started
        if is_bad:
            return ("refused" if 400 <= answer.status < 500 else f"bad file: {answer.status}"), seconds
        if answer.status != 200:
            return f"status {answer.status}", seconds
        png = base64.b64decode(json.loads(content)["predictions"][0]["mask_png_bytes"]["b64"])
        agreement = (np.asarray(Image.open(io.BytesIO(png))) == self._masks[number % len(self._masks)]).mean()
        return ("good" if agreement >= LEAST_AGREEMENT else f"wrong mask: {agreement:.4f}"), seconds

    def run(self, port: int, clients: int, requests: int) -> list[tuple[str, float]]:
        """Sends so many requests by so many clients at once, and returns the outcomes of all."""

        def client(first: int) -> list[tuple[str, float]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            with contextlib.closing(connection):
                return [self.ask(connection, number) for number in range(first, requests, clients)]

        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            return [outcome for outcomes in pool.map(client, range(clients)) for outcome in outcomes]
