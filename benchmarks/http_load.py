"""Requests for masks by many clients at once, and whether each answer is right."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        number: Of the request.
        status: Of HTTP.
        content: The body.
        seconds: From the request to the end of the answer.
    """

    number: int
    status: int
    content: bytes
    seconds: float


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

    def _is_bad(self, number: int) -> bool:
        return bool(self._every) and number % self._every == self._every - 1

    def ask(self, connection: http.client.HTTPConnection, number: int) -> Answer:
        """Sends the request of a number, and takes the answer as it comes."""
        bodies = self._bad if self._is_bad(number) else self._good
        started = time.perf_counter()
        connection.request("POST", PREDICT, bodies[number % len(bodies)])
        answer = connection.getresponse()
        content = answer.read()
        return Answer(number, answer.status, content, time.perf_counter() - started)

    def judge(self, answer: Answer) -> str:
        """Returns "good", "refused" or what went wrong."""
        if self._is_bad(answer.number):
            return "refused" if 400 <= answer.status < 500 else f"bad file: {answer.status}"
        if answer.status != 200:
            return f"status {answer.status}"
        png = base64.b64decode(json.loads(answer.content)["predictions"][0]["mask_png_bytes"]["b64"])
        mask = self._masks[answer.number % len(self._masks)]
        agreement = (np.asarray(Image.open(io.BytesIO(png))) == mask).mean()
        return "good" if agreement >= LEAST_AGREEMENT else f"wrong mask: {agreement:.4f}"

    def run(self, port: int, clients: int, requests: int) -> tuple[list[tuple[str, float]], float]:
        """Sends so many requests by so many clients at once.

        Returns:
            Outcome and seconds of each request, and the seconds from the first request to the last answer. Answers are
            judged after those, so that the clients take as little as they can of the processors.
        """

        def client(first: int) -> list[Answer]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            with contextlib.closing(connection):
                return [self.ask(connection, number) for number in range(first, requests, clients)]

        started = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            answers = [answer for part in pool.map(client, range(clients)) for answer in part]
        seconds = time.perf_counter() - started
        return [(self.judge(answer), answer.seconds) for answer in answers], seconds
