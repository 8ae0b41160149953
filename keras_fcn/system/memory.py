"""Freed memory that the C library has not returned to the system."""

from __future__ import annotations

import ctypes
import sys


def return_free_memory() -> None:
    """Returns freed memory from glibc to the system; does nothing on other C libraries.

    Tracing a training step leaves tens of megabytes of it.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
