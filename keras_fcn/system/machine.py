"""The machine, and the part of it that this process may use: processor, cores, and memory."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def granted_cores(root: Path = Path("/")) -> int:
    """Returns the number of cores that this process may use, at least 1: fewer than the host has, in a container.

    Args:
        root: The folder of `proc` and `sys`, where Linux tells a control group's quota of processor time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(min(_quotas(root), default=cores))))


def _quotas(root: Path) -> Iterator[float]:
    """Yields the cores that each control group of this process grants; none without a limit, or outside of Linux."""
    for controllers, group in _control_groups(root):
        is_new = controllers == ""  # cgroup v2 has one tree for all controllers
        if is_new or "cpu" in controllers.split(","):
            top = root / "sys/fs/cgroup" / ("" if is_new else "cpu")
            folder = top / group.strip("/")
            for place in (folder, *folder.parents):
                if not place.is_relative_to(top):
                    break
                files = ["cpu.max"] if is_new else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
                with contextlib.suppress(OSError, ValueError):  # "max 100000" is no quota
                    quota, period = map(
                        int, " ".join((place / name).read_text(encoding="utf-8") for name in files).split()
                    )
                    if quota > 0:
                        yield quota / period


def _control_groups(root: Path) -> list[tuple[str, str]]:
    """Returns the controllers, such as "cpu,cpuacct", and the path of each control group of this process."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    parts = [line.split(":", 2) for line in lines]
    return [(controllers, path) for _, controllers, path in parts]


_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")

_WITHOUT_BFLOAT16 = frozenset(
    ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX10_1_256")
)
"""Values of oneDNN's variable that keep it from these instructions."""


def has_bfloat16(root: Path = Path("/")) -> bool:
    """Returns whether the processor multiplies in bfloat16, by AVX512_BF16 or AMX, and oneDNN may use that.

    Only Linux tells. Without these instructions, computing in bfloat16 takes longer than in float32.

    Args:
        root: The folder of `proc`.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT_BFLOAT16:
        return False
    return not set(_processor(root).get("flags", "").split()).isdisjoint(_BFLOAT16_FLAGS)


def _processor(root: Path) -> dict[str, str]:
    """Returns what Linux says of the first processor; nothing elsewhere."""
    with contextlib.suppress(OSError):
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        lines = (line.partition(":") for line in reversed(text.splitlines()))
        return {field.strip(): value.strip() for field, _, value in lines}
    return {}


class Budget:
    """An amount of something, memory for instance, that threads share.

    Args:
        total: The amount.
    """

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taking(self, amount: int) -> Iterator[None]:
        """Takes an amount while the block runs, and waits until it is free; one greater than all takes all."""
        amount = min(amount, self._total)
        with self._changed:
            self._changed.wait_for(lambda: amount <= self._free)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


DECODING = Budget(1 << 27)
"""Bytes, as RGB, of the masks that threads check at once; checking a mask takes some ten times as many."""


def decoding_threads() -> ThreadPoolExecutor:
    """Returns threads to decode masks in: more than eight wait for Python's lock, and each keeps memory of its own."""
    return ThreadPoolExecutor(min(granted_cores(), 8))


def return_free_memory() -> None:
    """Returns freed memory from glibc to the system; does nothing on other C libraries.

    Tracing a training step leaves tens of megabytes of it.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def processor_model(root: Path = Path("/")) -> str:
    """Returns the processor's name as the system, or else Python, tells it.

    Args:
        root: The folder of `proc`.
    """
    return _processor(root).get("model name") or platform.processor() or platform.machine()


def processor_name(root: Path = Path("/")) -> str:
    """Returns the processor's name and, where Linux tells it, whether it has AVX-512 and its instructions for int8.

    Args:
        root: The folder of `proc`.
    """
    flags = _processor(root).get("flags", "").split()
    width = "AVX-512" if "avx512f" in flags else "no AVX-512"
    return processor_model(root) + (f", {width}{' with VNNI' * ('avx512_vnni' in flags)}" if flags else "")


def peak_megabytes() -> float | None:
    """Returns the most memory that this process had, in 10^6 bytes; None where the system does not tell."""
    with contextlib.suppress(OSError, StopIteration):
        # Not getrusage, whose figure on Linux is at least that of the process that started this one.
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return None


def resident_bytes(process: int) -> int:
    """Returns the memory that a process has; 0 if it has ended, or outside of Linux."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def processor_seconds(process: int) -> float:
    """Returns the processor time of a process, all threads together; 0 if it has ended, or outside of Linux."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
