"""The server's metrics for Prometheus."""

from __future__ import annotations

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        version: The version that is served.
        load_failures: Versions that could not be loaded.
        stale: 1 while what is served is not what lies in the folder, else 0.
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
        self.version = Gauge("keras_fcn_model_version", "The version that is served", registry=registry)
        self.load_failures = Gauge(
            "keras_fcn_model_load_failures", "Versions that could not be loaded", registry=registry
        )
        self.stale = Gauge(
            "keras_fcn_model_stale", "1 while the served version is gone or cannot be loaded anew", registry=registry
        )

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
