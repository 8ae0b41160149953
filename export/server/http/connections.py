"""Limits of connections: their number, and the bytes and the time of what is not a body.

uvicorn's protocol bounds none of these: whoever opens connections and says nothing would take all descriptors, and a
header that never ends all memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from export.server.background import in_background
from export.server.limits import LimitError

LOG = logging.getLogger("keras_fcn.server")

BACKLOG = 128
"""The most connections that are accepted at once."""

PENDING = 4096
"""The most connections that wait to be accepted; a client beyond it tries again after a second."""

_SWEEP_SECONDS = 1.0
_LOG_SECONDS = 60.0
_OTHER_FILES = 128
"""Descriptors of the process that are no connections."""

Counted = Callable[[int | None, str | None], object]
"""Counts an answer by its status, None for a connection closed without one, and by the limit that it met, if any."""


@dataclasses.dataclass(frozen=True)
class ConnectionLimits:
    """Limits of connections.

    Attributes:
        max_connections: The most connections; beyond it, the one is closed that has been idle the longest.
        max_header_bytes: The most bytes of a request without its body.
        read_timeout: The most seconds for a header, and for the rest of a body that has its answer.
        min_rate: The least bytes per second at which a client reads its answer, over `read_timeout` seconds.
    """

    max_connections: int
    max_header_bytes: int
    read_timeout: float
    min_rate: float


class Connection(Protocol):
    """One connection.

    Attributes:
        since: The time of the loop's clock since which it waits for its client.
        transport: Its transport.
    """

    since: float
    transport: asyncio.Transport

    @property
    def reads(self) -> bool:
        """Whether it waits for its client, not its client for an answer."""

    def check(self, now: float) -> None:
        """Closes the connection if its client takes too long."""

    def refuse(self, error: LimitError) -> None:
        """Answers with an error message and closes the connection."""


class Connections:
    """All connections of a server.

    Args:
        limits: Their limits.
        counted: Counts refused requests and closed connections.
    """

    def __init__(self, limits: ConnectionLimits, counted: Counted) -> None:
        self.limits, self.counted = limits, counted
        self._all: dict[Connection, None] = {}
        self._silent: dict[Connection, None] = {}  # those that have not sent a header yet, the oldest first
        self._logged = -_LOG_SECONDS

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> None:
        """Adds a connection, for which an idle one may be closed; if all are busy, it is refused."""
        if len(self._all) >= self.limits.max_connections:
            idle = next(iter(self._silent), None) or self._longest_idle()
            if idle is None:
                message = f"{len(self._all)} connections wait for answers already; try again later"
                connection.refuse(LimitError("max_connections", 503, message))
                return
            self.close(idle, "max_connections")
        self._all[connection] = self._silent[connection] = None

    def _longest_idle(self) -> Connection | None:
        """Returns the connection that has waited longest for a request or the rest of one."""
        waiting = [connection for connection in self._all if connection.reads]
        return min(waiting, key=lambda connection: connection.since, default=None)

    def speaks(self, connection: Connection) -> None:
        """Notes that a connection has sent a header."""
        self._silent.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """Removes a closed connection."""
        self._all.pop(connection, None)
        self._silent.pop(connection, None)

    def close(self, connection: Connection, limit: str | None) -> None:
        """Closes a connection at once, without an answer."""
        self.remove(connection)
        self.counted(None, limit)
        connection.transport.abort()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Closes what takes too long while the block runs."""
        asyncio.get_running_loop().set_exception_handler(self._on_error)
        async with in_background(self._watch()):
            yield

    async def _watch(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self.limits.read_timeout / 4))
            for connection in [*self._all]:
                connection.check(now())

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Logs errors of the loop; one of missing descriptors, which each attempt to accept repeats, once a minute."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS):
            loop.default_exception_handler(context)
        elif loop.time() - self._logged >= _LOG_SECONDS:
            self._logged = loop.time()
            LOG.warning("no connection is accepted at the moment: %s", error.strerror)


def fitting(max_connections: int) -> int:
    """Returns how many connections the process has descriptors for, at most `max_connections`; raises its limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return max_connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + BACKLOG + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max_connections
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    return max(1, possible - BACKLOG - _OTHER_FILES)
