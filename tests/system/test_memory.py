import ctypes
import sys
from pathlib import Path

import pytest

from keras_fcn.system.memory import return_free_memory

BLOCKS, BLOCK = 500, 100_000
"""Smaller than the blocks that glibc maps separately and returns at once."""


def resident():
    """Bytes of this process that are in memory."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not a Linux with glibc"
)
def test_memory_freed_below_a_used_block_is_returned():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks[:-1]:
        libc.free(block)
    before = resident()
    return_free_memory()
    assert before - resident() > BLOCKS * BLOCK / 2
    libc.free(blocks[-1])


@pytest.mark.parametrize(("platform", "library"), [("win32", None), ("linux", object())])
def test_other_systems_are_left_alone(monkeypatch, platform, library):
    """Windows has no library of the process; musl's has no `malloc_trim`."""
    asked = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: asked.append(name) or library)
    return_free_memory()
    assert asked == ([] if platform == "win32" else [None])
