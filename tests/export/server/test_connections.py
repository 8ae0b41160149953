"""Connections within limits, to a server in a thread whose application answers at once, late, or at length."""

import asyncio
import contextlib
import errno
import http.client
import json
import logging
import re
import resource
import socket
import threading
from collections import Counter

import pytest
from servers import DEADLINE, needs_server, wait_until

pytestmark = needs_server

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LONG = 1 << 25
"""Bytes of an answer that no socket buffers."""


class LimitedServer:
    """A server within limits; `counted` counts status and limit of what it refused or closed."""

    def __init__(self, **limits):
        import uvicorn

        from export.server.http.connections import ConnectionLimits, Connections
        from export.server.http.protocol import limited_protocol

        self.counted, self.held, self.loop = Counter(), [], None
        usual = {"max_connections": 100, "max_header_bytes": 1000, "read_timeout": DEADLINE, "min_rate": 1000.0}
        counted = lambda *key: self.counted.update([key])  # noqa: E731
        self.connections = Connections(ConnectionLimits(**{**usual, **limits}), counted)
        protocol = limited_protocol(self.connections)
        config = uvicorn.Config(self._app, http=protocol, interface="asgi3", lifespan="off", log_config=None)
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))

    async def _app(self, scope, receive, send):
        if scope["path"] == "/held":
            release = asyncio.Event()
            self.held.append(release)
            await release.wait()
        body = bytes(LONG if scope["path"] == "/long" else 2)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        async with self.connections.watched():
            await self.server.serve([self.listener])

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        thread.start()
        try:
            yield self
        finally:
            self.server.should_exit = self.server.force_exit = True
            thread.join()

    def connect(self, *pieces):
        """Returns a new connection, on which pieces were sent."""
        connection = socket.create_connection(self.listener.getsockname(), timeout=DEADLINE)
        for piece in pieces:
            connection.sendall(piece)
        return connection


@contextlib.contextmanager
def limited(**limits):
    with LimitedServer(**limits).running() as server:
        yield server


@pytest.fixture(scope="module")
def usual():
    """A server of the usual limits."""
    with limited() as server:
        yield server


@pytest.fixture
def server(usual):
    usual.counted.clear()
    usual.held.clear()
    return usual


def answer(connection):
    """Returns the status of an answer, and its error message if it has one."""
    found = http.client.HTTPResponse(connection)
    found.begin()
    content = found.read()
    return found.status, json.loads(content)["error"] if found.status >= 400 else None


def is_closed(connection):
    """Waits until the other end closes a connection, and returns True if it did so without an answer."""
    with connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True


def test_idle_connections_give_way_to_new_ones():
    with limited(max_connections=3) as server:
        silent = [server.connect() for _ in range(2)]
        wait_until(lambda: len(server.connections) == 2)
        spoken = server.connect(GET)
        assert answer(spoken) == (200, None)
        newer = []
        for idle in silent:
            newer.append(server.connect(GET))
            assert answer(newer[-1]) == (200, None)
            assert is_closed(idle)
        newer.append(server.connect(GET))
        assert answer(newer[-1]) == (200, None)
        assert is_closed(spoken)  # of those that have their answers, the longest idle
        assert server.counted == {(None, "max_connections"): 3}


def test_a_new_connection_is_refused_when_all_wait_for_answers():
    with limited(max_connections=1) as server:
        busy = server.connect(GET.replace(b"/", b"/held", 1))
        wait_until(lambda: server.held)
        expected = (503, "1 connections wait for answers already; try again later (--max-connections)")
        assert answer(server.connect()) == expected
        server.loop.call_soon_threadsafe(server.held[0].set)
        assert answer(busy) == (200, None)
        assert server.counted == {(503, "max_connections"): 1}


def test_headers_have_a_time():
    with limited(read_timeout=0.2) as server:
        slow, silent = server.connect(GET[:-2]), server.connect()
        assert answer(slow) == (408, "no whole header arrived within 0.2 seconds (--read-timeout)")
        assert is_closed(silent)
        assert server.counted == {(408, "read_timeout"): 1, (None, "read_timeout"): 1}


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET / HTTP/1.1\r\nHost: here\r\nCookie: ", b"x" * 600, b"x" * 600],
        [b"GET / HTTP/1.1\r\nHost: here\r\n" + b"A: b\r\n" * 300 + b"\r\n"],
        [b"GET /" + b"x" * 1200 + b" HTTP/1.1\r\nHost: here\r\n\r\n"],
        [b"\r\n" * 600],
        [b"POST /held HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: " + b"x" * 1200],
        [b"POST /held HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 1200],
    ],
)
def test_headers_and_what_surrounds_a_body_have_a_size(server, pieces):
    with server.connect(pieces[0]) as connection:
        if b"/held" in pieces[0]:
            wait_until(lambda: server.held)
        for piece in pieces[1:]:
            connection.sendall(piece)
        assert answer(connection) == (431, "the header is longer than 1000 bytes (--max-header-kb)")
        assert server.counted == {(431, "max_header_kb"): 1}


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", (400, "HTTP/1.1 takes one field Host. Received: 0")),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400, "HTTP/1.1 takes one field Host. Received: 2")),
        (b"GET / HTTP/1.0\r\n\r\n", (200, None)),
        (GET, (200, None)),
        (b"words\r\n\r\n", (400, "this is no HTTP/1.1 request: Invalid method encountered")),
        (b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n", (400, "the address of the request cannot be read")),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 900 + b"\r\n\r\n",
            (400, "this is no HTTP/1.1 request: Content-Length overflow"),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            (200, None),
        ),
    ],
)
def test_requests_that_are_not_as_http_has_them(server, request_bytes, expected):
    with server.connect(request_bytes) as connection:
        assert answer(connection) == expected
        assert server.counted == ({(400, None): 1} if expected[0] == 400 else {})


def test_bodies_on_one_connection_do_not_count_as_headers(server):
    """However they arrive: the head of a request beside its body, or before it."""
    head = b"POST /held HTTP/1.1\r\nHost: here\r\nContent-Length: 5000\r\n\r\n"
    ways = [[head, bytes(5000)], [head + bytes(5000)], [head, bytes(2500), bytes(2500)], [head + bytes(9), bytes(4991)]]
    with server.connect() as connection:
        for pieces in ways:
            connection.sendall(pieces[0])
            wait_until(lambda: server.held)
            for piece in pieces[1:]:
                connection.sendall(piece)
            server.loop.call_soon_threadsafe(server.held.pop().set)
            assert answer(connection) == (200, None)


def test_requests_that_do_not_wait_for_answers_are_few(server):
    from export.server.http.protocol import MOST_PIPELINED

    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for number, expected in ((MOST_PIPELINED, {b"200": MOST_PIPELINED + 1}), (MOST_PIPELINED + 1, {b"400": 1})):
        with server.connect(GET.replace(b"/", b"/held", 1) + GET * (number - 1) + last) as connection:
            if b"200" in expected:
                wait_until(lambda: server.held)
                server.loop.call_soon_threadsafe(server.held.pop().set)
            answers = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            assert Counter(re.findall(rb"HTTP/1.1 (\d+)", answers)) == expected


def test_a_client_that_goes_on_with_an_answered_body_is_cut_off():
    with limited(read_timeout=0.2) as server:
        connection = server.connect(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 99\r\n\r\nx")
        assert answer(connection) == (200, None)
        assert is_closed(connection)
        assert server.counted == {(None, "read_timeout"): 1}


def test_a_client_that_does_not_read_its_answer_is_cut_off():
    with limited(read_timeout=0.2) as server, server.connect(GET.replace(b"/", b"/long", 1)):
        wait_until(lambda: server.counted == {(None, "min_rate"): 1})
        wait_until(lambda: len(server.connections) == 0)


def test_missing_descriptors_are_logged_once(server, caplog):
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: server.server.started)
        for _ in range(3):
            context = {"exception": OSError(errno.EMFILE, "Too many open files")}
            server.loop.call_soon_threadsafe(server.loop.call_exception_handler, context)
        assert answer(server.connect(GET)) == (200, None)
    assert caplog.messages == ["no connection is accepted at the moment: Too many open files"]


@pytest.mark.parametrize(
    ("limits", "expected", "now"),
    [
        ((100, 1000), 300, 556),
        ((100, 400), 144, 400),
        ((1000, 1000), 300, 1000),
        ((-1, -1), 300, -1),
        ((64, 64), 1, 64),
    ],
)
def test_the_process_gets_the_descriptors_that_it_may_have(monkeypatch, limits, expected, now):
    from export.server.http.connections import fitting

    found = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda which: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: found.append(limits))
    assert (fitting(300), found[-1][0]) == (expected, now)
