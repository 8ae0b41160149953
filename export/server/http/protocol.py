"""uvicorn's HTTP protocol within limits."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from export.server.http.connections import Connections
from export.server.limits import LimitError

MOST_PIPELINED = 16
"""The most requests of a connection that wait for their turn."""


def limited_protocol(connections: Connections) -> Callable[..., LimitedProtocol]:
    """Returns the protocol class for `uvicorn.Config(http=...)`."""
    return functools.partial(LimitedProtocol, connections)


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within limits.

    Args:
        connections: All connections of the server.
        **arguments: As uvicorn gives them.

    Attributes:
        since: The time of the loop's clock since which the connection waits for its client.
    """

    def __init__(self, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._connections = connections
        self._part: str | None = "header"  # the part of a request that is being read
        self._header_bytes = self._body_bytes = self._other_bytes = self._unsent = self._hosts = 0
        self._all_body_bytes, self._is_next = 0, False
        self.since = self._unsent_since = self.loop.time()

    @property
    def reads(self) -> bool:
        """Whether the connection waits for its client, not its client for an answer."""
        return self._part == "body" or self._is_answered

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Adds the connection."""
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes the connection."""
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what arrived, of which all but the body is bounded."""
        self._unset_keepalive_if_required()
        before, self._is_next = self._all_body_bytes, False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # it is answered as if it had not asked for another protocol
        except httptools.HttpParserError as error:
            self.refuse(_reason(error))
            return
        # Where a part ended within the data, the next one counts from what arrives later.
        others = len(data) - (self._all_body_bytes - before)
        self._other_bytes = 0 if self._is_next else self._other_bytes + others
        # A field without an end and the frames of chunks are counted here; a body may have as much around it.
        if self._other_bytes > self._connections.limits.max_header_bytes + self._body_bytes:
            self.refuse(self._too_large())

    def on_message_begin(self) -> None:
        """Begins a header."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise _FaultError(f"more than {MOST_PIPELINED} requests wait for their turn on one connection")
        super().on_message_begin()
        self._part, self.since = "header", self.loop.time()
        self._header_bytes = self._body_bytes = self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field of a header or of a trailer."""
        self._header_bytes += len(name) + len(value) + 4
        self._hosts += name.lower() == b"host"
        if self._header_bytes > self._connections.limits.max_header_bytes:
            raise self._too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begins a request."""
        if len(self.url) + self._header_bytes > self._connections.limits.max_header_bytes:
            raise self._too_large()
        if self._hosts > 1 or (not self._hosts and self.parser.get_http_version() == "1.1"):  # RFC 9112, 3.2
            raise _FaultError(f"HTTP/1.1 takes one field Host. Received: {self._hosts}")
        self._connections.speaks(self)
        self._part, self.since, self._is_next = "body", self.loop.time(), True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a piece of a body."""
        self._body_bytes += len(body)
        self._all_body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request."""
        self._part, self.since, self._is_next = None, self.loop.time(), True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begins to wait for the next request, or for the rest of the answered one."""
        self.since = self.loop.time()
        super().on_response_complete()

    def check(self, now: float) -> None:
        """Closes the connection if its client takes too long for a header, or to read its answer."""
        is_late = now - self.since > self._connections.limits.read_timeout
        if self._part and self._is_answered and is_late and not self.transport.is_closing():
            if self._part == "header" and self._other_bytes:
                seconds = self._connections.limits.read_timeout
                self.refuse(LimitError("read_timeout", 408, f"no whole header arrived within {seconds:g} seconds"))
            else:  # it has said nothing, or goes on with a body that has its answer
                self._connections.close(self, "read_timeout")
        elif self._is_stalled(now):
            self._connections.close(self, "min_rate")

    def _is_stalled(self, now: float) -> bool:
        """Returns whether the client has read too little of its answer for `read_timeout` seconds."""
        limits, unsent = self._connections.limits, self.transport.get_write_buffer_size()
        seconds = now - self._unsent_since
        if 0 < unsent <= self._unsent and seconds < limits.read_timeout:
            return False
        is_stalled = 0 < unsent <= self._unsent and self._unsent - unsent < limits.min_rate * seconds
        self._unsent, self._unsent_since = unsent, now
        return is_stalled

    def refuse(self, error: LimitError | _FaultError) -> None:
        """Answers with an error message and closes the connection."""
        self._connections.counted(error.status, error.limit)
        content = json.dumps({"error": str(error)}).encode()
        head = [STATUS_LINE[error.status], b"content-type: application/json\r\nconnection: close\r\n"]
        head += [b"%s: %s\r\n" % field for field in self.server_state.default_headers]
        self.transport.write(b"".join([*head, b"content-length: %d\r\n\r\n" % len(content), content]))
        self.transport.close()

    def _too_large(self) -> LimitError:
        most = self._connections.limits.max_header_bytes
        return LimitError("max_header_kb", 431, f"the header is longer than {most} bytes")


class _FaultError(Exception):
    """A request that is not HTTP/1.1."""

    status, limit = 400, None


def _reason(error: httptools.HttpParserError) -> LimitError | _FaultError:
    """Returns the reason why a request could not be parsed: what a callback raised, or the parser itself."""
    cause = error.__context__
    if isinstance(cause, (LimitError, _FaultError)):
        return cause
    return _FaultError(
        "the address of the request cannot be read" if cause else f"this is no HTTP/1.1 request: {error}"
    )
