"""Forked processes: what was loaded before is there, and what they do to it is gone with them."""

import contextlib
import json
import os
import resource
import signal
import tempfile
import time
import traceback
from pathlib import Path

MEMORY = 8 << 30
"""Bytes that a process may take beyond what is loaded: a change may multiply the size of an array."""


def forked(seconds, function, *arguments, **options):
    """Calls a function in a forked process, in an empty folder, which is removed.

    Returns its result; or a word, if the process ended without one: "clock", "crash". And what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        answer, output = Path(folder, "answer"), Path(folder, "output")
        if not (child := os.fork()):
            try:
                _become(output, folder, seconds)
                answer.write_text(json.dumps(function(*arguments, **options)), encoding="utf-8")
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        ended = _end_of(child, 10 * seconds)
        printed = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
        return ended or json.loads(answer.read_text(encoding="utf-8")), printed


def _become(output, folder, seconds):
    """Prepares this forked process: a session, folder and limits of its own, and none of the standard streams."""
    os.setsid()
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    for number in (1, 2):
        os.dup2(file, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 6))
    loaded = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (loaded + MEMORY, resource.RLIM_INFINITY))


def _end_of(child, seconds):
    """Returns how a forked process ended, "" if as it should; ends what it left behind."""
    end, pause, status = time.monotonic() + seconds, 0.002, None
    while status is None and time.monotonic() < end:
        done, found = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(found) if done else None
        time.sleep(pause := min(pause * 1.3, 0.05))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return {0: "", None: "clock", -signal.SIGXCPU: "clock"}.get(status, "crash")
