"""The server's process: loading the model, serving, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from export.server.app import build_app
from export.server.http.connections import BACKLOG, PENDING, ConnectionLimits, Connections, fitting
from export.server.http.protocol import limited_protocol
from export.server.metrics import Metrics
from export.server.model.batching import BatchingOptions
from export.server.model.engine.choice import open_fastest
from export.server.model.engine.network import LargeImages
from export.server.model.engine.process import NetworkProcess
from export.server.model.models import Model, Models
from export.server.model.segmentation import Segmentation
from export.server.model.servable import Servable
from export.server.model.versions import fingerprint
from export.server.options import GRACE_SECONDS, ServeOptions
from keras_fcn.inference.engines.opening import uses_tensorflow
from keras_fcn.system.machine import granted_cores
from keras_fcn.system.signals import handling

LEAST_BATCH = 4
"""Images in a batch that engines are timed with at the start."""


class Server(uvicorn.Server):
    """Shuts down gracefully on SIGTERM and Ctrl-C, with exit status 0; a second signal does not wait.

    Args:
        config: uvicorn's settings.
        grace_seconds: Seconds after a signal when the process ends, whatever its threads do, with status 1.
    """

    should_exit: bool
    force_exit: bool

    def __init__(self, config: uvicorn.Config, grace_seconds: float) -> None:
        super().__init__(config)
        self._grace_seconds = grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and prints the address."""
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(PENDING)  # uvicorn's backlog is also the number of connections accepted at once
            host, port = listener.getsockname()[:2]
            print(f"listening at http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals while the block runs."""
        with handling(self._end):
            yield

    def _end(self, *_) -> None:
        if not self.should_exit:
            # A thread of C, which ends the process even while another holds Python's lock, with status 1.
            faulthandler.dump_traceback_later(self._grace_seconds, exit=True)
        self.force_exit = self.should_exit
        self.should_exit = True


def serve(options: ServeOptions, listener: socket.socket) -> None:
    """Loads the model and serves it until SIGTERM or Ctrl-C.

    Args:
        options: The server's options.
        listener: The socket of requests.

    Raises:
        UserError: If there is no model to serve.
    """
    models, app, metrics = build(options)
    most = fitting(options.max_connections)
    if most < options.max_connections:
        print(
            f"at most {most} connections, as many as ulimit -n leaves; --max-connections is {options.max_connections}"
        )
    limits = ConnectionLimits(most, int(options.max_header_kb * 1e3), options.read_timeout, options.min_rate)
    connections = Connections(limits, metrics.count)
    metrics.connections.set_function(lambda: len(connections))
    config = uvicorn.Config(
        app,
        http=limited_protocol(connections),
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(options.timeout) + 1,  # requests are answered or cancelled within --timeout
    )
    _tell_loaded(models)

    async def run() -> None:
        async with connections.watched():
            await Server(config, options.timeout + GRACE_SECONDS).serve([listener])

    asyncio.run(run())


def _tell_loaded(models: Models) -> None:
    """Prints what is served first; in a function, as a name in `serve` would keep it in memory for good."""
    for model in models:
        for servable in model.servables:
            file, program = servable.network.path, servable.facts.program
            print(f"{model.name}: version {servable.version} is loaded from {file}, computed by {program}", flush=True)


def build(options: ServeOptions) -> tuple[Models, Starlette, Metrics]:
    """Returns the loaded models, the application and its metrics; raises UserError if there is no model to serve."""
    large = LargeImages(options.tiles, int(options.max_whole_mp * 1e6), options.max_pixels)
    metrics = Metrics()
    loaded: weakref.WeakValueDictionary[tuple, Servable] = weakref.WeakValueDictionary()

    def start(path: Path) -> NetworkProcess:
        seconds = options.timeout + GRACE_SECONDS
        return NetworkProcess(path, large, seconds, metrics.engine_deaths.inc, options.precision)

    def load(version: str, path: Path) -> Servable:
        key = (path, fingerprint(path))
        if (servable := loaded.get(key)) is None:  # a version that has a label may be the newest, too
            network = open_fastest(path, options.engine, start, options.max_batch or LEAST_BATCH)
            network.warm_up(options.max_batch or network.facts.batch_size, uses_tensorflow(network.path))
            loaded[key] = servable = Servable(network, version, large)
        return servable

    gc.collect()
    gc.freeze()  # modules stay for good: later collections, which stop all threads, take a fifth of the time
    labels = options.labels
    models = Models([Model.load(name, at, labels.get(name, {}), load) for name, at in options.folders.items()])
    metrics.watch(models)
    first = models.first.newest.current
    batching = BatchingOptions(options.max_batch or first.facts.batch_size, options.max_delay_ms / 1000)
    threads = max(2, granted_cores())
    most_pixels = max(servable.max_pixels for servable in models.servables)
    segmentation = Segmentation(threads, batching, most_pixels, metrics.observe_batch)
    return models, build_app(options, models, segmentation, metrics), metrics
