"""Serving the newest version of a model as soon as it is loaded and warm."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from export.server.background import in_background
from export.server.model.servable import Servable
from keras_fcn.errors import UserError

LOG = logging.getLogger("keras_fcn.server")

Fingerprint = tuple[tuple[str, int, int], ...]


class Versions:
    """A folder of version folders, 1/, 2/, ..., and the newest version that could be loaded.

    The current version is served until a new one is loaded; requests that use it keep it alive. A version that cannot
    be loaded is tried again when its files have changed: it may have been incomplete.

    Args:
        folder: The folder of all versions, as `python -m export.saved_model` writes it.
        load: Loads and warms a version folder, or raises UserError.

    Attributes:
        current: The version that is served.
        failures: Number of versions that could not be loaded.

    Raises:
        UserError: If there is no folder, no version in it, or none that can be loaded.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Servable]) -> None:
        self._folder, self._load = folder, load
        self._failed: dict[Path, Fingerprint] = {}
        self.failures = 0
        found = self._found()
        if not found:
            raise UserError(
                f"{folder}: holds no version, 1/ or another number with a saved_model.pb; "
                "export one with python -m export.saved_model RUN DIR"
            )
        loaded = next(filter(None, map(self._attempt, found)), None)
        if loaded is None:
            raise self._error
        self.current = loaded

    def _found(self) -> list[Path]:
        """Returns the version folders, the newest first."""
        try:
            numbered = [path for path in self._folder.iterdir() if path.name.isdecimal()]
        except NotADirectoryError:
            raise UserError(f"{self._folder}: is a file; give the folder of an exported model") from None
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be read ({error.strerror})") from None
        found = [path for path in numbered if (path / "saved_model.pb").is_file()]
        return sorted(found, key=lambda path: int(path.name), reverse=True)

    def refresh(self) -> bool:
        """Loads the newest version if it is not the current one; returns True if it did."""
        try:
            found = self._found()
        except UserError as error:  # an unmounted volume, perhaps: the loaded version stays
            LOG.warning("%s; version %s is still served", error, self.current.version)
            return False
        for path in found:
            if path.name == self.current.version:
                return False
            if loaded := self._attempt(path):
                self.current = loaded
                LOG.info("version %s is served now", loaded.version)
                return True
        return False

    def _attempt(self, path: Path) -> Servable | None:
        """Returns a loaded version, or None if that fails or has failed with the same files before."""
        fingerprint = _fingerprint(path)
        if self._failed.get(path) == fingerprint:
            return None
        try:
            return self._load(path)
        except UserError as error:
            LOG.warning("%s; it is not served", error)
            self._failed[path], self._error = fingerprint, error
            self.failures += 1
            return None

    def watched(self, seconds: float, loader: Executor) -> AbstractAsyncContextManager[None]:
        """Checks for a newer version every so many seconds while the block runs."""
        return in_background(self._watch(seconds, loader))

    async def _watch(self, seconds: float, loader: Executor) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.get_running_loop().run_in_executor(loader, self.refresh)
            except Exception:  # a bug must not end the watch
                LOG.exception("the check for a newer version failed; version %s is still served", self.current.version)


def _fingerprint(folder: Path) -> Fingerprint:
    """Returns names, sizes and times of all files in a folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):  # it was just removed
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)
