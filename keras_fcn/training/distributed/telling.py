"""Tells the other workers of a cluster when this one ends before they have met: they would wait for it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence

from keras_fcn.errors import UserError
from keras_fcn.system.signals import handling
from keras_fcn.training.distributed.cluster import parse_cluster, split_address
from keras_fcn.training.distributed.messages import USER, encoded

LINGERING = 15.0
"""Seconds for which others are tried that do not listen yet: scheduled at once, they start at different speeds."""

_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}(?!\d)")
"""An address in a TF_CONFIG that may be malformed."""


@contextlib.contextmanager
def telling_others() -> Iterator[None]:
    """Tells the other workers of TF_CONFIG when the block ends by a user's mistake of which they do not know.

    They are told while the error goes on its way; the end of the process waits for that.
    """
    try:
        yield
    except UserError as error:
        if not error.is_told:
            error.is_told = True
            tell(_others(os.environ.get("TF_CONFIG", "")), f"on {socket.gethostname()}: {error.marked}")
        raise


def _others(text: str) -> list[str]:
    """Returns all addresses in a TF_CONFIG, malformed or not, but that of this process, if it is known."""
    addresses = [address for address in _ADDRESS.findall(text) if 0 < split_address(address)[1] < 2**16]
    with contextlib.suppress(UserError):
        if cluster := parse_cluster(text):
            addresses = [address for _, address in cluster.workers if address != cluster.address]
    return list(dict.fromkeys(addresses))


def tell(addresses: Sequence[str], line: str) -> None:
    """Tells workers at addresses a line about a user's mistake, with which they end; in a thread, for some seconds."""
    if addresses:
        thread = threading.Thread(target=_tell, args=(list(addresses), line), daemon=True)
        thread.start()
        atexit.register(_finish, thread)


def _finish(thread: threading.Thread) -> None:
    with handling(signal.SIG_DFL):  # Ctrl-C ends the process then, without a word
        thread.join()


def _tell(addresses: list[str], line: str) -> None:
    deadline = time.monotonic() + LINGERING
    while addresses := [address for address in addresses if not _reached(address, line)]:
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)


def _reached(address: str, line: str) -> bool:
    try:
        with socket.create_connection(split_address(address), timeout=2) as connection:
            connection.sendall(encoded({"ended": USER, "line": line}))
            return True
    except OSError:
        return False
