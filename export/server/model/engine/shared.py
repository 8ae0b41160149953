"""Pixels that two processes share: through a pipe, megabytes take several switches between the two."""

from __future__ import annotations

import dataclasses
import mmap
import os
import tempfile
import weakref

import numpy as np

_LEAST, _SHRINKS = 1 << 23, 4
"""A memory of more bytes is given back if a call needs a fourth."""


def open_shared() -> int:
    """Returns the descriptor of an empty memory, which lives as long as a process has it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("keras_fcn")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedPixels:
    """An array uint8 in a memory that two processes share, who take turns.

    Args:
        descriptor: The memory's.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self._map = descriptor, mmap.mmap(-1, 1)
        weakref.finalize(self, os.close, descriptor)

    def put(self, array: np.ndarray) -> tuple[int, tuple[int, ...]]:
        """Stores an array, and returns what the other process gives to `get`."""
        wanted, there = max(1, array.nbytes), os.fstat(self.descriptor).st_size
        if wanted > there or (there > _LEAST and wanted * _SHRINKS < there):
            os.ftruncate(self.descriptor, wanted)
            there = wanted
        view = self.get((there, array.shape))
        view[...] = array
        return there, array.shape

    def get(self, stored: tuple[int, tuple[int, ...]]) -> np.ndarray:
        """Returns the array that was stored, which the next one replaces."""
        size, shape = stored
        if size != len(self._map):
            self._map = mmap.mmap(self.descriptor, size)
        return np.frombuffer(self._map, np.uint8, int(np.prod(shape))).reshape(shape)


@dataclasses.dataclass(frozen=True)
class Stored:
    """Stands in a message for an array that is in the shared memory.

    Attributes:
        stored: What `SharedPixels.get` takes.
    """

    stored: tuple[int, tuple[int, ...]]


def in_memory(value: object, pixels: SharedPixels) -> object:
    """Returns what a message holds for a value: for an array, where it was stored."""
    return Stored(pixels.put(value)) if isinstance(value, np.ndarray) else value
