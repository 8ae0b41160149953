"""The server's metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from export.server.model.models import Models
from export.server.model.versions import Versions
from keras_fcn.system.machine import processor_seconds, resident_bytes

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Metrics of requests, times and batches, and of the process.

    Attributes:
        requests: Answered requests, by protocol and HTTP status; "other" are those not for masks.
        refused: Requests and connections that met a limit, by the option of the limit.
        connections: Open connections.
        seconds: From the first byte of a request to its answer, by protocol.
        batches: Images in each batch.
        network_seconds: Seconds of inference; a rate of 1 per second is full load.
        waiting: Requests that are not answered yet.
        arriving: Requests whose bodies have not arrived yet.
        engine_deaths: Times that the process of an engine ended by itself, and was started again.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        self._registry = registry
        self.requests = Counter("keras_fcn_requests", "Answered requests", ["protocol", "status"], registry=registry)
        self.refused = Counter(
            "keras_fcn_refused", "Requests and connections that met a limit", ["limit"], registry=registry
        )
        self.connections = Gauge("keras_fcn_connections", "Open connections", registry=registry)
        self.seconds = Histogram(
            "keras_fcn_request_seconds",
            "From a request to its answer",
            ["protocol"],
            registry=registry,
            buckets=SECONDS,
        )
        self.batches = Histogram(
            "keras_fcn_batch_images", "Images segmented at once", registry=registry, buckets=BATCHES
        )
        self.network_seconds = Counter("keras_fcn_network_seconds", "The network at work", registry=registry)
        self.waiting = Gauge("keras_fcn_requests_waiting", "Requests not answered yet", registry=registry)
        self.arriving = Gauge("keras_fcn_requests_arriving", "Requests with a part of their body", registry=registry)
        self.engine_deaths = Counter(
            "keras_fcn_engine_deaths", "Times that an engine's process ended by itself", registry=registry
        )

    def watch(self, models: Models) -> None:
        """Adds versions of the models, and memory and processor time of their engines' processes."""

        def sum_of(value: Callable[[int], float]) -> Callable[[], float]:
            pids = lambda: [one.network.pid for one in models.servables]  # noqa: E731
            return lambda: sum(value(pid) for pid in pids() if pid is not None)

        def over(function: Callable[[Versions], float], whole: Callable = sum) -> Callable[[], float]:
            return lambda: whole(function(one) for model in models for one in model.versions)

        self._gauge("engine_resident_memory_bytes", "Memory of the engines' processes", sum_of(resident_bytes))
        self._gauge("engine_cpu_seconds", "Processor time of the engines' processes", sum_of(processor_seconds))
        self._gauge("model_load_failures", "Versions that could not be loaded", over(lambda one: one.failures))
        stale = "1 while a served version is gone or cannot be loaded anew"
        self._gauge("model_stale", stale, over(lambda one: bool(one.warning), max))
        first = models.first.newest
        self._gauge(
            "model_version", "The version of the first model that is served", lambda: int(first.current.version)
        )
        served = Gauge("keras_fcn_served_version", "The newest version of a model", ["model"], registry=self._registry)
        for model in models:
            served.labels(model.name).set_function(lambda model=model: int(model.newest.current.version))

    def _gauge(self, name: str, help_text: str, function: Callable[[], float]) -> None:
        Gauge(f"keras_fcn_{name}", help_text, registry=self._registry).set_function(function)

    def count(self, status: int | None, limit: str | None, protocol: str = "other") -> None:
        """Counts an answer.

        Args:
            status: Its HTTP status; None for a connection closed without an answer.
            limit: The option of the limit that was met, as a field of `ServeOptions`; None for no limit.
            protocol: "v1", "v2" or "other".
        """
        if status is not None:
            self.requests.labels(protocol, str(status)).inc()
        if limit is not None:
            self.refused.labels(limit).inc()

    def observe_batch(self, size: int, seconds: float) -> None:
        """Counts a batch of `size` images and the seconds of its inference; 0 images are a part of a large one."""
        if size:
            self.batches.observe(size)
        self.network_seconds.inc(seconds)

    def exposition(self) -> tuple[bytes, str]:
        """Returns the metrics in Prometheus' text format, and the content type."""
        return prometheus_client.generate_latest(self._registry), prometheus_client.CONTENT_TYPE_LATEST
