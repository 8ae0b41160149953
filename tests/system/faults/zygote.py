"""A process that has loaded what commands load, and forks for each of them: `python zygote.py` under faults.so.

It reads lines of JSON, {"words", "environment", "out", "err", "trace", "seconds"}, and answers each by the exit status
of the command in a line, or by "hangs" if it had to end it. "memory", in bytes, is how much address space the command
may take beyond what it begins with; "at_stop" is a folder to remove when it has stopped by SIGSTOP, from which it goes
on in any case.
"""

import contextlib
import ctypes
import faulthandler
import json
import os
import re
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support"), str(ROOT / "tests/support/served")]

from keras_fcn.system.startup import start_tensorflow  # noqa: E402


def load(modules):
    """Imports what takes long, and starts nothing: threads would not be in a forked process."""
    for module in modules:
        if module == "tensorflow":
            start_tensorflow(list_devices=False)
            __import__("narrow")
        elif module == "eager":
            sys.modules["tensorflow"].config.run_functions_eagerly(True)
        else:
            __import__(module)


def become(asked):
    """Prepares a forked process to be a command's."""
    os.setsid()
    for number, path in ((1, asked["out"]), (2, asked["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    trace = Path(asked["trace"]).open("w", encoding="utf-8")  # noqa: SIM115 - until this process ends
    faulthandler.register(signal.SIGUSR2, trace, all_threads=False)
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # that of the environment
    if "memory" in asked:
        begun = 1024 * int(re.search(r"VmSize:\s*(\d+)", Path("/proc/self/status").read_text())[1])
        resource.setrlimit(resource.RLIMIT_AS, (begun + asked["memory"],) * 2)
    library = ctypes.CDLL(None)
    library.faults_begin(), library.clock_begin()


def run(words):
    """Runs a script or module as `python` does."""
    sys.argv = words
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


def status_of(child, seconds, at_stop=None):
    """Returns a forked process' exit status; "hangs" if it has to be killed. One that stops goes on."""
    end, pause = time.monotonic() + seconds, 0.001
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if done and os.WIFSTOPPED(status):
            shutil.rmtree(at_stop or "", ignore_errors=True)
            os.killpg(child, signal.SIGCONT)
        elif done:
            end_group(child)  # what it has started, and left
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause := min(pause * 1.5, 0.05))
    end_group(child)
    os.waitpid(child, 0)
    return "hangs"


def end_group(leader):
    """Kills the processes of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    load(sys.argv[1:])
    print("loaded", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if not (child := os.fork()):
            become(asked)
            run(asked["words"])
            break
        print(json.dumps(status_of(child, asked["seconds"], asked.get("at_stop"))), flush=True)
