"""Sending requests for masks by many clients at once, and checking each answer."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import dataclasses
import http.client
import io
import json
import threading
import time
from collections.abc import Callable
from typing import Self

import numpy as np
from PIL import Image

LEAST_AGREEMENT = 0.999
"""The least fraction of pixels with the SavedModel's class; float sums in batches may differ in the last bit."""

PREDICT = "/v1/models/keras_fcn:predict"


PROCESSOR_SECONDS = ("process_cpu_seconds_total", "keras_fcn_engine_cpu_seconds")
RESIDENT_BYTES = ("process_resident_memory_bytes", "keras_fcn_engine_resident_memory_bytes")
"""The metrics of the server's process and those of its engines."""


def server_metric(port: int, *names: str) -> float:
    """Returns the sum of values of the server's /metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    values = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    return sum(float(values[name]) for name in names)


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer to a request.

    Attributes:
        number: Number of the request.
        status: HTTP status.
        content: The body.
        seconds: From the request to the end of the answer.
    """

    number: int
    status: int
    content: bytes
    seconds: float


class Threads:
    """Threads that work while the block runs: each until `_end` is set.

    Args:
        *work: What each does.
    """

    def __init__(self, *work: Callable[[], None]) -> None:
        self._end, self._threads = threading.Event(), [threading.Thread(target=one) for one in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


class Load:
    """Requests and their expected answers.

    Args:
        files: Image files.
        masks: Their masks, uint8 [H, W].
        bad: Fraction of requests with a damaged file.
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
        """Sends the request of a number, and returns the answer."""
        bodies = self._bad if self._is_bad(number) else self._good
        started = time.perf_counter()
        connection.request("POST", PREDICT, bodies[number % len(bodies)])
        answer = connection.getresponse()
        content = answer.read()
        return Answer(number, answer.status, content, time.perf_counter() - started)

    def judge(self, answer: Answer) -> str:
        """Returns "good", "refused" or the fault of an answer."""
        if self._is_bad(answer.number):
            return "refused" if 400 <= answer.status < 500 else f"bad file: {answer.status}"
        if answer.status != 200:
            return f"status {answer.status}"
        png = base64.b64decode(json.loads(answer.content)["predictions"][0]["mask_png_bytes"]["b64"])
        mask = self._masks[answer.number % len(self._masks)]
        agreement = (np.asarray(Image.open(io.BytesIO(png))) == mask).mean()
        return "good" if agreement >= LEAST_AGREEMENT else f"wrong mask: {agreement:.4f}"

    def run(self, port: int, clients: int, requests: int) -> tuple[list[tuple[str, float]], float]:
        """Sends `requests` requests by `clients` clients at once.

        Returns:
            Outcome and seconds of each request, and the seconds from the first request to the last answer. Answers are
            checked afterwards, so that the clients take little processor time.
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
