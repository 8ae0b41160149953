"""What else happens to commands: signals at any call, the clock, a folder that is removed, too little memory."""

import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from injection import faults_at

MEGABYTE = 1 << 20
WRITES = ("open", "write", "rename", "unlink", "mkdir")
JUMP = 400_000
"""Seconds by which the clock is set back and forth: more than four days."""


@dataclass(frozen=True)
class Disturbance:
    """What happens to a command at a call, and how it may end then.

    Attributes:
        signal: What is sent to it.
        statuses: Exit statuses that are right.
        kinds: Kinds of the call.
        more: For `Commands.run`.
        removes: Whether its files are removed while it is stopped.
    """

    signal: int
    statuses: tuple[int, ...]
    kinds: tuple[str, ...] = WRITES
    more: dict[str, Any] = field(default_factory=dict)
    removes: bool = False


DISTURBANCES = {
    "killed": Disturbance(signal.SIGKILL, (0, -signal.SIGKILL, 138)),
    "interrupted": Disturbance(signal.SIGINT, (0, 130)),
    "interrupted twice": Disturbance(signal.SIGINT, (0, 130), more={"times": 2}),
    "stopped and continued": Disturbance(signal.SIGSTOP, (0,), ("read", *WRITES)),
    "its files removed": Disturbance(signal.SIGSTOP, (0, 2), removes=True),
}


def disturbed(name: str, calls: list[str], seed: int, out: Path):
    """Yields a fault, the right exit statuses and arguments for `Commands.run`, for places where calls were made.

    Args:
        name: One of `DISTURBANCES`, "clock" or "memory".
        calls: Those of an undisturbed run.
        seed: Of their order.
        out: The folder of the command's files.
    """
    if name == "clock":
        yield None, (0,), {"clock": JUMP}
    elif name == "memory":
        rng = random.Random(seed)
        died = tuple(
            -number for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL, signal.SIGTRAP)
        )
        while True:
            yield None, (0, 1, 2, *died), {"memory": int(MEGABYTE * 2 ** rng.uniform(0, 10))}
    else:
        what = DISTURBANCES[name]
        more = what.more | ({"at_stop": str(out)} if what.removes else {})
        errors = dict.fromkeys(what.kinds, (-what.signal,))
        for fault in faults_at(calls, what.kinds, seed, errors=errors):
            yield fault, what.statuses, more
