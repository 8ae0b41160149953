"""The server's process: loading the model, serving, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from export.server.app import build_app
from export.server.http.connections import BACKLOG, PENDING, ConnectionLimits, Connections, fitting
from export.server.http.protocol import limited_protocol
from export.server.metrics import Metrics
from export.server.model.batching import BatchingOptions
from export.server.model.segmentation import Segmentation
from export.server.model.servable import LargeImages, Servable
from export.server.model.versions import Versions
from export.server.options import GRACE_SECONDS, ServeOptions
from keras_fcn.inference.batches import default_batch_size
from keras_fcn.system.machine import granted_cores, return_free_memory
from keras_fcn.system.signals import handling


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
    versions, app, metrics = build(options)
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
    print(f"{options.directory}: version {versions.current.version} is loaded", flush=True)

    async def run() -> None:
        async with connections.watched():
            await Server(config, options.timeout + GRACE_SECONDS).serve([listener])

    asyncio.run(run())


def build(options: ServeOptions) -> tuple[Versions, Starlette, Metrics]:
    """Returns the loaded versions, the application and its metrics; raises UserError if there is no model to serve."""
    max_batch = options.max_batch or default_batch_size()

    large = LargeImages(options.tiles, int(options.max_whole_mp * 1e6))

    is_first = True

    def load(folder: Path) -> Servable:
        nonlocal is_first
        servable = Servable(folder, large)
        servable.warm_up(max_batch, takes_memory=is_first)
        is_first = False
        return_free_memory()  # a third of what loading took
        return servable

    gc.collect()
    gc.freeze()  # modules stay for good: later collections, which stop all threads, take a fifth of the time
    versions, metrics = Versions(options.directory, load), Metrics()
    batching = BatchingOptions(max_batch, options.max_delay_ms / 1000)
    threads = max(2, granted_cores())
    segmentation = Segmentation(threads, batching, versions.current.max_pixels, metrics.observe_batch)
    return versions, build_app(options, versions, segmentation, metrics), metrics
