"""Runs commands whose n-th system call of a kind fails: `faults.c` makes it fail, `zygote.py` runs the command."""

import errno
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCES = (HERE / "faults.c", HERE / "clock.c")

SHORT = 0
"""In the place of an errno: the call reads or writes half of what was asked for."""

ERRORS = {
    "open": (errno.EIO, errno.EACCES, errno.ENOSPC, errno.EINTR),
    "read": (errno.EIO, errno.EINTR, SHORT),
    "write": (errno.ENOSPC, errno.EIO, errno.EINTR, SHORT),
    "fsync": (errno.EIO,),
    "rename": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "unlink": (errno.EACCES, errno.EIO),
    "list": (errno.EIO, errno.EACCES),
    "mkdir": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "stat": (errno.EIO, errno.EACCES),
}
"""What each kind of call fails with."""

_OF_ONE_RUN = [
    (re.compile(r"\.\d+-[0-9a-f]{6}\."), ".TEMPORARY."),
    (re.compile(r"\.(\w+)\.[a-z0-9_]{8}(?=/|$)"), r".TEMPORARY.\1"),
    (re.compile(r"#\d+ \(deleted\)"), "UNNAMED"),
    (re.compile(r" tmp/(tmp)?[A-Za-z0-9_-]{5,}"), " tmp/RANDOM"),
    (re.compile(r"\d+"), "N"),
]
"""Parts of the names of files that differ from run to run."""


class Fault(NamedTuple):
    """The `number`th call of a kind, which fails with an errno, is `SHORT`, or comes with a signal, whose number is
    negative then; `place` is the file it was on."""

    kind: str
    number: int
    error: int
    place: str = ""

    def __str__(self):
        name = signal.Signals(-self.error).name if self.error < 0 else errno.errorcode.get(self.error, "short")
        return f"{self.kind} {self.number} {name} {self.place}"


class Outcome(NamedTuple):
    """What a command did: its exit status or "hangs", its output, and the places of its calls and of the fault."""

    status: int | str
    out: str
    err: str
    calls: list[str]
    hit: list[str]
    trace: str


def compiled(folder):
    """Compiles faults.c into a folder; None where that is not possible."""
    compiler, library = shutil.which("cc"), folder / "faults.so"
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    words = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, *SOURCES, "-ldl"]
    subprocess.run(words, check=True)
    return library


class Commands:
    """Runs commands, each in a fork of one process that has loaded what they import.

    Args:
        library: faults.c, compiled.
        folder: Where to keep what commands print.
        under: The folder whose files are counted.
        modules: What to import first; "tensorflow" starts as much of it as can be forked, "eager" leaves out graphs.
    """

    def __init__(self, library, folder, under, modules=()):
        self.folder, self.under = folder, under
        folder.mkdir(exist_ok=True)
        threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(threads, "1"), "LD_PRELOAD": str(library)}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py"), *modules], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment | {"CUDA_VISIBLE_DEVICES": "-1"},
        )  # fmt: skip
        assert self._process.stdout.readline() == "loaded\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, words, fault=None, times=1, seconds=600, **more):
        """Returns the outcome of a command.

        Args:
            words: The command.
            fault: The call that fails; none if not given.
            times: How many of its kind fail, from that one on.
            seconds: After which the command hangs.
            more: For zygote.py: "memory" and "at_stop"; "clock", seconds by which the clock of the day jumps.
        """
        files = {name: str(self.folder / name) for name in ("out", "err", "trace", "log", "count")}
        (self.folder / "log").write_text("")
        (self.folder / "count").write_bytes(struct.pack("=Q", 0))
        environment = {"FAULTS_UNDER": str(self.under), "FAULTS_COUNT": files["count"], "FAULTS_LOG": files["log"]}
        if fault is not None:
            of_fault = {"KIND": fault.kind, "NUMBER": fault.number, "ERROR": fault.error, "SIGNAL": 1, "TIMES": times}
            environment |= {f"FAULTS_{name}": str(value) for name, value in of_fault.items()}
        if clock := more.pop("clock", 0):
            environment["FAULTS_CLOCK"] = str(clock)
        if (temporary := self.under / "tmp").is_dir():
            environment["TMPDIR"] = str(temporary)
        asked = {"words": [*map(str, words)], "environment": environment, "seconds": seconds, **files, **more}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        out, err, trace, log = (
            (self.folder / name).read_text(errors="replace") for name in ("out", "err", "trace", "log")
        )
        places = [self.place_of(line) for line in log.splitlines()]
        hit = [place.removeprefix("FAULT ") for place in places if place.startswith("FAULT ")]
        return Outcome(status, out, err, [place.removeprefix("FAULT ") for place in places], hit, trace)

    def place_of(self, line):
        """Returns the kind and file of a call, without what differs from run to run."""
        line = line.replace(f"{self.under}/", "")
        for pattern, replacement in _OF_ONE_RUN:
            line = pattern.sub(replacement, line)
        return line


def faults_at(calls, kinds, seed, every=False, errors=ERRORS):
    """Returns a fault for each place where an undisturbed run made a call, in the order of a seed.

    Args:
        calls: The calls of that run: kind and place each.
        kinds: Those that are to fail.
        seed: Of the drawn call at each place, and its errno.
        every: Whether every call fails with every errno of its kind instead.
        errors: What each kind fails with.
    """
    numbers = defaultdict(list)
    count = dict.fromkeys(kinds, 0)
    for call in calls:
        kind, _, place = call.partition(" ")
        if kind in count:
            count[kind] += 1
            numbers[kind, place].append(count[kind])
    rng = random.Random(seed)
    faults = []
    for (kind, place), own in numbers.items():
        chosen = (
            [(n, error) for n in own for error in errors[kind]]
            if every
            else [(rng.choice(own), rng.choice(errors[kind]))]
        )
        faults += [Fault(kind, number, error, place) for number, error in chosen]
    rng.shuffle(faults)
    return faults
