"""Serving the newest version of a model as soon as it is loaded and warm."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import weakref
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from export.server.background import in_background
from export.server.model.engine.choice import models_in
from export.server.model.servable import Servable
from keras_fcn.errors import UserError
from keras_fcn.system.command_line import as_options
from keras_fcn.system.machine import return_free_memory

LOG = logging.getLogger("keras_fcn.server")

Fingerprint = tuple[tuple[str, int, int, int], ...]

_FIRST_PAUSE, _LONGEST_PAUSE = 10, 3600
"""Checks until a version that could not be loaded is tried again with the same files, at first and at most."""


@dataclasses.dataclass
class _Failure:
    """A version that could not be loaded.

    Attributes:
        files: What its files were.
        pause: Checks between the last two attempts to load it.
        left: Checks until the next.
    """

    files: Fingerprint
    pause: int = _FIRST_PAUSE
    left: int = _FIRST_PAUSE

    def is_due(self) -> bool:
        """Counts a check; returns whether it is time for an attempt, after which the pause is twice as long."""
        self.left -= 1
        if self.left > 0:
            return False
        self.pause = self.left = min(2 * self.pause, _LONGEST_PAUSE)
        return True


class Versions:
    """A folder of version folders, 1/, 2/, ..., and the newest version that could be loaded.

    A file, or a folder that itself holds a model, is its only version: 1, if its name is no number.

    The current version is served until a new one is loaded, or the same one anew because its files have changed;
    requests that use it keep it alive. A version that cannot be loaded is tried again when its files have changed: it
    may have been incomplete. It is also tried again after 10 checks, 20 more and so on: its disk may have failed.

    Args:
        folder: The folder of all versions, as `python -m export.saved_model` writes it, or a model's.
        load: Loads and warms a version, given its number and its folder or file, or raises UserError.
        only: The number of the only version to serve; the newest if not given.

    Attributes:
        current: The version that is served.
        failures: Number of versions that could not be loaded.
        warning: Why what is served is not what lies in the folder, in one line; empty if it is.

    Raises:
        UserError: If there is no folder, no version in it, or none that can be loaded.
    """

    def __init__(self, folder: Path, load: Callable[[str, Path], Servable], only: str | None = None) -> None:
        self._folder, self._load, self._only = folder, load, only
        self._failed: dict[Path, _Failure] = {}
        self._replaced: weakref.WeakSet[Servable] = weakref.WeakSet()
        self._error: Exception | None = None
        self._has_garbage = False
        self.failures, self.warning = 0, ""
        found = self._found()
        if not found:
            raise UserError(self._missing())
        errors: list[Exception] = []
        for version, path in found:
            if loaded := self._attempt(version, path):
                break
            assert self._error is not None
            errors.append(self._error)
        if loaded is None:
            raise errors[0]
        for error in errors:
            _tell(error)
        self.current = loaded

    def _found(self) -> list[tuple[str, Path]]:
        """Returns number and path of the versions, the newest first."""
        try:
            whole = models_in(self._folder)
            entries = [] if self._folder.is_file() else [*self._folder.iterdir()]
            found = [(path.name, path) for path in entries if path.name.isdecimal() and models_in(path)]
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be read ({error.strerror})") from None
        if not found and whole:
            found = [(self._folder.name if self._folder.name.isdecimal() else "1", self._folder)]
        found = [(version, path) for version, path in found if self._only in (None, version)]
        return sorted(found, key=lambda one: int(one[0]), reverse=True)

    def _missing(self) -> str:
        """Returns why there is nothing to serve."""
        if self._folder.is_file():
            return f"{self._folder}: is a file; give the folder of an exported model, or an .onnx, .xml or .tflite file"
        export = "export one with python -m export.saved_model RUN DIR, or export.onnx, .openvino, .litert RUN DIR/1"
        if (self._folder / "config.json").is_file():
            return f"{self._folder}: is a run, which is exported first: {export.removeprefix('export one with ')}"
        version = "1/ or another number" if self._only is None else f"{self._only}/"
        return f"{self._folder}: holds no version, {version} with a model in it; {export}"

    def refresh(self) -> bool:
        """Loads the newest version if it is not the current one, or has changed; returns True if it did."""
        self._free_replaced()
        still = f"what was loaded as version {self.current.version} is still served"
        try:
            found = self._found()
        except UserError as error:  # an unmounted volume, perhaps: the loaded version stays
            self._warn(f"{error}; {still}")
            return False
        for version, path in found:
            is_current = version == self.current.version
            if is_current and fingerprint(path) == self._loaded:
                self._warn("")
                return False
            failures = self.failures
            if loaded := self._attempt(version, path):
                self._replaced.add(self.current)
                self.current, self._has_garbage = loaded, True
                self._warn("")
                LOG.info("version %s %s served now", loaded.version, "as it was changed is" if is_current else "is")
                return True
            if self._error is not None and self.failures > failures:
                _tell(self._error)
            if is_current:
                self._warn(f"{path}: has changed and cannot be loaded; {still}")
                return False
        self._warn(f"{self._folder}: version {self.current.version} is gone; {still}")
        return False

    def _warn(self, warning: str) -> None:
        """Keeps a warning while it holds, and logs it once."""
        if warning and warning != self.warning:
            LOG.warning("%s", warning)
        self.warning = warning

    def _free_replaced(self) -> None:
        """Frees versions that no request uses any more, and what the traceback of a failure holds."""
        if self._has_garbage:
            self._error = None
            gc.collect()
            return_free_memory()
            self._has_garbage = bool(self._replaced)

    def _attempt(self, version: str, path: Path) -> Servable | None:
        """Returns a loaded version, or None if that fails or, not long ago, has failed with the same files."""
        files, known = fingerprint(path), self._failed.get(path)
        is_known = known is not None and known.files == files
        if known is not None and is_known and not known.is_due():
            return None
        try:
            loaded = self._load(version, path)
        except Exception as error:  # any other than a UserError is a bug; it must not be tried each second
            self._error, self._has_garbage = error, True
            if not is_known:
                self._failed[path] = _Failure(files)
                self.failures += 1
            return None
        self._failed.pop(path, None)
        self._loaded = files  # of before: files that changed meanwhile are seen as changed
        return loaded

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


def _tell(error: Exception) -> None:
    """Logs why a version is not served, with the traceback of what is neither the user's mistake nor the disk's."""
    line = as_options(error) if isinstance(error, UserError) else str(error)
    LOG.warning("%s; it is not served", line, exc_info=None if isinstance(error, UserError | OSError) else error)


def fingerprint(folder: Path) -> Fingerprint:
    """Returns names, sizes and times of a file, or all in a folder; copies may keep the time of modification only."""
    found = []
    files = [folder, folder.with_suffix(".bin")] if folder.is_file() else []  # an .xml file's weights
    for parent, _, names in os.walk(folder):
        files += [Path(parent, name) for name in names]
    for path in files:
        with suppress(OSError):  # it was just removed
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(sorted(found))
