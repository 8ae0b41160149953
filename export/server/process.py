"""The server's process: a model, an application, and an end without loss."""

from __future__ import annotations

import asyncio
import contextlib
import os
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
from keras_fcn.system.signals import handling

if TYPE_CHECKING:
    from export.server.options import ServeOptions


class Server(uvicorn.Server):
    """Ends well on SIGTERM and Ctrl-C, of which uvicorn would die at last; a second signal does not wait."""

    should_exit: bool
    force_exit: bool

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and says where."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            print(f"listening at http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes the signals while the block runs."""
        with handling(self._end):
            yield

    def _end(self, *_) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def serve(options: ServeOptions, listener: socket.socket) -> None:
    """Loads the model and serves it until SIGTERM or Ctrl-C.

    Args:
        options: How.
        listener: Where requests arrive.

    Raises:
        UserError: If there is no model to serve.
    """
    versions, app = build(options)
    # Requests that run are answered or given up within --timeout.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=int(options.timeout) + 1)
    print(f"{options.directory}: version {versions.current.version} is loaded", flush=True)
    asyncio.run(Server(config).serve([listener]))


def build(options: ServeOptions) -> tuple[Versions, Starlette]:
    """Loads the model and makes the application that serves it; raises UserError if there is no model to serve."""
    max_batch = options.max_batch or default_batch_size()

    def load(folder: Path) -> Servable:
        servable = Servable(folder)
        servable.warm_up(max_batch)
        return servable

    versions, metrics = Versions(options.directory, load), Metrics()
    batching = BatchingOptions(max_batch, options.max_delay_ms / 1000)
    threads = max(2, os.cpu_count() or 1)
    segmentation = Segmentation(threads, batching, versions.current.max_pixels, metrics.observe_batch)
    return versions, build_app(options, versions, segmentation, metrics)
