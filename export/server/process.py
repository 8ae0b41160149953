"""The server's process: loading the model, serving, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from export.server.app import build_app
from export.server.metrics import Metrics
from export.server.model.batching import BatchingOptions
from export.server.model.segmentation import Segmentation
from export.server.model.servable import Servable
from export.server.model.versions import Versions
from keras_fcn.inference.batches import default_batch_size
from keras_fcn.system.machine import granted_cores, return_free_memory
from keras_fcn.system.signals import handling

if TYPE_CHECKING:
    from export.server.options import ServeOptions


class Server(uvicorn.Server):
    """Shuts down gracefully on SIGTERM and Ctrl-C, with exit status 0; a second signal does not wait."""

    should_exit: bool
    force_exit: bool

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and prints the address."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            print(f"listening at http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles the signals while the block runs."""
        with handling(self._end):
            yield

    def _end(self, *_) -> None:
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
    versions, app = build(options)
    # Running requests are answered or cancelled within --timeout.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=int(options.timeout) + 1)
    print(f"{options.directory}: version {versions.current.version} is loaded", flush=True)
    asyncio.run(Server(config).serve([listener]))


def build(options: ServeOptions) -> tuple[Versions, Starlette]:
    """Returns the loaded versions and the application; raises UserError if there is no model to serve."""
    max_batch = options.max_batch or default_batch_size()

    def load(folder: Path) -> Servable:
        servable = Servable(folder)
        servable.warm_up(max_batch)
        return_free_memory()  # a third of what loading took
        return servable

    gc.collect()
    gc.freeze()  # modules stay for good: later collections, which stop all threads, take a fifth of the time
    versions, metrics = Versions(options.directory, load), Metrics()
    batching = BatchingOptions(max_batch, options.max_delay_ms / 1000)
    threads = max(2, granted_cores())
    segmentation = Segmentation(threads, batching, versions.current.max_pixels, metrics.observe_batch)
    return versions, build_app(options, versions, segmentation, metrics)
