import ctypes
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keras_fcn.system.machine import (
    Budget,
    granted_cores,
    has_bfloat16,
    peak_megabytes,
    processor_model,
    processor_name,
    return_free_memory,
)

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


GROUPS = {
    "v2": ("0::/pod/app\n", {"pod/cpu.max": "250000 100000\n", "pod/app/cpu.max": "max 100000\n"}),
    "v2, mounted at its own group": ("0::/../..\n", {"cpu.max": "250000 100000\n"}),
    "v1": (
        "4:cpu,cpuacct:/app\n3:cpuset:/app\n0::/app\n",
        {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuset/cpu.max": "1 1"},
    ),
}


@pytest.mark.parametrize(("groups", "files"), GROUPS.values(), ids=GROUPS)
def test_the_cores_of_a_container_are_those_of_its_quota(groups, files, tmp_path, monkeypatch):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for affinity, expected in (64, 3), (2, 2):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=affinity: set(range(cores)), raising=False)
        assert granted_cores(tmp_path) == expected


def test_cores_without_a_quota_are_those_of_affinity(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert granted_cores(tmp_path) == 2
    monkeypatch.delattr("os.sched_getaffinity")
    assert granted_cores(tmp_path) == 64


def test_threads_share_a_budget_and_none_waits_forever():
    budget, using, most = Budget(10), [], []

    def work(amount):
        with budget.taking(amount):
            using.append(min(amount, 10))
            most.append(sum(using))
            using.remove(min(amount, 10))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [3, 4, 20, 10, 1] * 40))
    assert (using, len(most)) == ([], 200)
    assert max(most) <= 10


def test_a_processor_says_what_it_computes_int8_by(tmp_path):
    (tmp_path / "proc").mkdir()
    for flags, instructions in (("sse avx", "no AVX-512"), ("avx512f avx512_vnni", "AVX-512 with VNNI")):
        lines = f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n"
        (tmp_path / "proc/cpuinfo").write_text(lines, encoding="utf-8")
        assert processor_name(tmp_path) == f"Some CPU, {instructions}"
    assert processor_name(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "processor", "words"),
    [
        (b"flags: x\nmodel name\t:  Own: 9\xff \nmodel name: Other\n", "another", "Own: 9\ufffd"),
        (b"flags: x\n", "another", "another"),
        (b"", "", "a machine"),
        (None, "another", "another"),
    ],
)
def test_the_processor_is_that_of_the_system_or_of_python(tmp_path, monkeypatch, content, processor, words):
    if content is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_bytes(content)
    monkeypatch.setattr(platform, "processor", lambda: processor)
    monkeypatch.setattr(platform, "machine", lambda: "a machine")
    assert processor_model(tmp_path) == words


def test_the_most_memory_of_this_process_is_told():
    before = peak_megabytes()
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])  # pages are taken when they are written to
    assert peak_megabytes() > 200
    assert peak_megabytes() >= before


@pytest.mark.parametrize(
    ("flags", "most", "expected"),
    [
        ("fpu avx512f avx512_vnni avx512_bf16", None, True),
        ("fpu avx512f amx_bf16 amx_tile", None, True),
        ("fpu avx512f avx512_vnni", None, False),
        ("fpu avx512_bf16_not", None, False),
        ("fpu avx512f avx512_bf16", "AVX512_CORE_VNNI", False),
        ("fpu avx512f avx512_bf16", "avx512_core_bf16", True),
    ],
)
def test_bfloat16_is_what_linux_says_and_onednn_may_use(tmp_path, monkeypatch, flags, most, expected):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    if most:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert has_bfloat16(tmp_path) == expected


def test_no_bfloat16_where_nobody_tells(tmp_path, monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert not has_bfloat16(tmp_path)
