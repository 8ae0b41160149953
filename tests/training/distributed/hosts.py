"""Hosts on one machine, and workers on them: network namespaces, joined by a switch whose cables can be cut.

Nothing stays behind: a namespace lives as long as a `cat` in it, which ends with this process, and no file names it. No
right is needed but that to make a user namespace.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from conftest import ROOT

SECONDS = 900
"""Until a test gives up on a worker; the machine may be busy."""

_ALONE = ("unshare", "--user", "--map-root-user", "--net")


class Hosts:
    """A switch and the hosts on it, at the addresses 10.77.0.1, 10.77.0.2, ...; see `hosts`.

    Args:
        count: Number of hosts.
        stack: Ends what is started.
    """

    def __init__(self, count: int, stack: contextlib.ExitStack) -> None:
        self.addresses = [f"10.77.0.{index + 1}" for index in range(count)]
        self._switch = stack.enter_context(_held(*_ALONE))
        self._call(self._switch, "ip link add name switch type bridge && ip link set switch up")
        self._hosts = []
        for index, address in enumerate(self.addresses):
            host = stack.enter_context(_held(*self._inside(self._switch), "unshare", "--net"))
            self._hosts.append(host)
            self._call(self._switch, f"ip link add name host{index} type veth peer name cable netns {host}")
            self._call(self._switch, f"ip link set host{index} up")
            self._call(host, f"ip address add {address}/24 dev cable && ip link set cable up && ip link set lo up")
            self.restore(index)

    def command(self, index: int) -> tuple[str, ...]:
        """Returns what goes before a command to run it on a host."""
        return self._inside(self._hosts[index])

    def cut(self, index: int) -> None:
        """Cuts a host's cable in the middle: packets vanish, and neither end is told."""
        self._call(self._switch, f"ip link set host{index} nomaster")

    def restore(self, index: int) -> None:
        """Joins a host's cable again."""
        self._call(self._switch, f"ip link set host{index} master switch")

    def part(self, *indices: int) -> None:
        """Lets nothing through between these hosts, though all others reach them."""
        for index in indices:
            self._call(self._switch, f"bridge link set dev host{index} isolated on")

    @staticmethod
    def _inside(namespace: int) -> tuple[str, ...]:
        return ("nsenter", f"--target={namespace}", "--user", "--net", "--preserve-credentials")

    def _call(self, namespace: int, command: str) -> None:
        subprocess.run([*self._inside(namespace), "sh", "-c", command], check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def hosts(count: int) -> Iterator[Hosts]:
    """Joins so many hosts by a switch while the block runs."""
    with contextlib.ExitStack() as stack:
        yield Hosts(count, stack)


@functools.lru_cache(maxsize=1)
def why_not() -> str:
    """Returns why this machine cannot have such hosts; empty if it can."""
    if missing := [program for program in ("ip", "bridge", "unshare", "nsenter") if shutil.which(program) is None]:
        return f"{', '.join(missing)} of iproute2 and util-linux are not installed"
    try:
        with hosts(1):
            return ""
    except (OSError, subprocess.SubprocessError) as error:
        return f"namespaces and their links cannot be made here: {error}"


@contextlib.contextmanager
def _held(*command: str) -> Iterator[int]:
    """Keeps the namespaces that a command makes while the block runs; yields the process that is in them."""
    with subprocess.Popen([*command, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(b"\n")
            process.stdin.flush()
            if not process.stdout.read(1):
                raise OSError(f"{command[0]} made no namespace")
            yield process.pid
        finally:
            process.kill()


class Worker:
    """A worker on a host.

    Args:
        net: The hosts.
        index: The index of the host.
        folder: The folder to start it in.
        words: The options of train.py.
        config: Its TF_CONFIG; that of the host among all of them if not given.
        environment: More of its environment.
    """

    def __init__(self, net, index, folder, *words, config=None, **environment):
        if config is None:
            config = configured(net, index)
        folder.mkdir(parents=True, exist_ok=True)
        self.kept = folder / "weights.npz"
        command = [*net.command(index), sys.executable, "-u", ROOT / "tests/support/narrow.py"]
        self.process = subprocess.Popen(
            [*command, "tests/support/kept_weights.py", *map(str, words)],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TF_CONFIG": config, "KEPT_WEIGHTS": str(self.kept), **environment},
        )  # fmt: skip

    def after(self, beginning):
        """Returns the next line of its output with a beginning."""
        return next(line for line in self.process.stdout if line.startswith(beginning))

    def end(self):
        """Returns its exit status, its stderr, and when it ended."""
        _, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, err, time.monotonic()

    @property
    def weights(self):
        with np.load(self.kept) as kept:
            return list(kept.values())


def configured(net, index, **changes):
    """The TF_CONFIG of a host."""
    cluster = {"worker": [f"{address}:2222" for address in net.addresses]}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}, **changes})


@contextlib.contextmanager
def workers(net, folder, *words, indices=None, **more):
    """Starts the same command on all hosts; kills what is left of them in the end."""
    started = []
    try:
        for index in range(len(net.addresses)) if indices is None else indices:
            started.append(Worker(net, index, folder / f"host{index}", *words, **more))
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()
