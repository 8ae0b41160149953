"""Locks: one process trains in a folder, or makes a data set, at a time."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.system.files import written


@contextlib.contextmanager
def locked(path: Path, busy: str, patience: float = 0.0) -> Iterator[None]:
    """Holds a lock while the block runs; the system frees it when this process ends, however it ends.

    Where the file system has no locks, nothing is done.

    Args:
        path: The file of the lock, which says who holds it.
        busy: The error message after the name of the process that holds it.
        patience: Seconds to wait for that process.

    Raises:
        UserError: If another process holds it, or the file cannot be written.
    """
    until = time.monotonic() + patience
    while (file := _lock(path)) is None:
        if time.monotonic() > until:
            raise UserError(f"{_owner(path)} {busy}")
        time.sleep(0.5)
    try:
        with written(path):
            os.truncate(file, 0)
            now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}, since {now},\n".encode())
        yield
    finally:
        with contextlib.suppress(OSError):  # a file that nobody holds is no lock
            path.unlink()
        os.close(file)


def _lock(path: Path) -> int | None:
    """Returns the open file with its lock; None if another process holds it."""
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        import fcntl  # not on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EACCES):
            os.close(file)
            return None
        return file
    if path.exists() and os.path.samestat(path.stat(), os.fstat(file)):
        return file
    os.close(file)  # its holder has removed it since it was opened
    return _lock(path)


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8").strip() or "another process"
    return "another process"
