"""Memory that a process has freed, but not given back."""

from __future__ import annotations

import ctypes
import sys


def return_free_memory() -> None:
    """Returns to the system what was freed and the C library has kept, where that is glibc.

    Tracing a training step leaves tens of megabytes of it behind.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
