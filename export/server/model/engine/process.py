"""A network in a process of its own, which is started again if it ends."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import export
from export.server.model.engine.network import LargeImages, NetworkFacts
from export.server.model.engine.shared import SharedPixels, Stored, in_memory, open_shared
from export.server.model.engine.worker import DONE, MEMORY, MISTAKE
from keras_fcn.errors import UserError
from keras_fcn.runs.names import PrecisionName

_ROOT = str(Path(export.__file__).resolve().parents[1])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from export.server.model.engine.worker import main; main()"


class EngineDiedError(RuntimeError):
    """The process of an engine has ended, or could not be started again: a line for the client."""


class EngineFailedError(RuntimeError):
    """A call of an engine failed, with the traceback of its process."""


class NetworkProcess:
    """A network that is computed in a process of its own; its methods take one call at a time.

    Args:
        path: The file or SavedModel.
        large: How large images are segmented.
        timeout: Seconds after which a call that has no answer ends the process.
        died: Called each time that the process has ended by itself.
        precision: What layers compute in, as in `open_engine`.

    Attributes:
        path: As above.
        facts: What the server must know of the network.
        stop: Ends the process; it also ends when nobody uses this object any more.

    Raises:
        UserError: If the network cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        large: LargeImages,
        timeout: float = 60.0,
        died: Callable[[], object] = lambda: None,
        precision: PrecisionName = "auto",
    ) -> None:
        self.path, self._timeout, self.died = path, timeout, died
        self._opening = (path, large, precision)
        self._lock = threading.Lock()
        self._large_image: np.ndarray | None = None
        self._large_in: int | None = None
        self._child = _Child()
        self.stop = weakref.finalize(self, _Child.end, self._child)
        self.facts: NetworkFacts = self._open()

    @property
    def pid(self) -> int | None:
        """The number of the process; None if there is none."""
        return self._child.process.pid if self._child.process else None

    def segment(self, images: np.ndarray) -> np.ndarray:
        """Returns class ids, as `Network.segment`."""
        return self._call("segment", images)

    def start_tiles(self, image: np.ndarray) -> None:
        """Begins to segment a large image, as `Network.start_tiles`."""
        self._call("start_tiles", image)
        self._large_image, self._large_in = image, self.pid

    def next_tile(self) -> np.ndarray | None:
        """Computes a tile, as `Network.next_tile`; if others have ended the process since, begins again."""
        if self.pid != self._large_in and self._large_image is not None:
            self.start_tiles(self._large_image)
        ids = self._call("next_tile")
        if ids is not None:
            self._large_image = None
        return ids

    def warm_up(self, batch_size: int, takes_memory: bool) -> float:
        """Segments grey images and returns the seconds of one, as `Network.warm_up`.

        Raises:
            UserError: If the process ends, or its memory does not suffice.
        """
        try:
            return self._ask(("warm_up", (batch_size, takes_memory)), None)
        except EngineDiedError as error:
            raise UserError(f"{self.path}: {error}") from None
        except MemoryError:
            raise UserError(f"{self.path}: memory does not suffice to compute an image") from None

    def _call(self, method: str, *arguments: object) -> Any:
        """Calls a method of the network in its process, which is started before if it has ended.

        Raises:
            EngineDiedError: If the process ends, or cannot be started.
            MemoryError: If its memory does not suffice.
            UserError: If the network does not take the images.
            EngineFailedError: If the call fails otherwise.
        """
        with self._lock:
            if self._child.has_ended():  # while nothing was computed: nobody notices
                self._child.end()
                self.died()
            if self._child.process is None:
                try:
                    self._open()
                except (UserError, EngineFailedError) as error:
                    raise EngineDiedError(f"the engine cannot be started again ({error})") from None
            return self._ask((method, arguments), self._timeout)

    def _open(self) -> NetworkFacts:
        self._child.start()
        try:
            return self._ask(("open", self._opening), None)
        except EngineDiedError as error:
            raise UserError(f"{self.path}: {error}") from None
        except Exception:
            self._child.end()
            raise

    def _ask(self, call: tuple[str, tuple[object, ...]], limit: float | None) -> Any:
        connection, what, pixels = self._child.connection, "ended", self._child.pixels
        assert connection is not None
        method, arguments = call
        try:
            connection.send((method, [in_memory(argument, pixels) for argument in arguments]))
            if not connection.poll(limit):
                what = f"did not answer within {limit:g} seconds"
                raise EOFError
            kind, value = connection.recv()
        except (EOFError, OSError):
            status = self._child.end()
            self.died()
            by = f" by signal {-status}" if status < 0 and what == "ended" else ""
            doing = {"open": "opened the file", "warm_up": "computed its first image"}.get(method, "computed this")
            raise EngineDiedError(f"the process of the engine {what}{by} while it {doing}; try again") from None
        if kind == DONE:
            return np.array(pixels.get(value.stored)) if isinstance(value, Stored) else value
        if kind == MISTAKE:
            raise UserError(value)
        raise MemoryError(value) if kind == MEMORY else EngineFailedError(value)


class _Child:
    """The process of a network and the connection to it, if it runs."""

    def __init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.connection: Connection | None = None
        self.pixels = SharedPixels(open_shared())

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            given = [theirs.fileno(), self.pixels.descriptor]
            words = [sys.executable, "-P", "-c", _PROGRAM, _ROOT, *map(str, given)]
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=given,
                start_new_session=True,
            )  # fmt: skip
        self.connection = Connection(ours.detach())

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def end(self) -> int:
        """Ends the process, if it has not yet, and returns its status: of its own end, where that came first."""
        process, connection = self.process, self.connection
        self.process = self.connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)  # if it ended by itself, its status comes with it
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return process.returncode
