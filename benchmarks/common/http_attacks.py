"""Clients that would stop a server, with ordinary files and requests: `python -m common.http_attacks NAME PORT`.

They go on until they are terminated. Each is a coroutine of one client, run by as many clients as `ATTACKS` says.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import resource
import sys
from collections.abc import Awaitable, Callable

import numpy as np
from common.http_load import PREDICT
from PIL import Image

HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: here\r\n"
GET = b"GET /page/page.js HTTP/1.1\r\nHost: here\r\n\r\n"
LONG = 30_000_000
"""Bytes of an announced body, fewer than a server takes."""

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Opens a connection, and says nothing."""
    await reader.read()


async def send_slow_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a header a byte a second."""
    await _slowly(writer, (HEAD + "X: " + "x" * 10_000).encode(), 1.0)


async def send_endless_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a header without an end, as fast as it is taken."""
    writer.write(HEAD.encode())
    while not reader.at_eof() and not writer.is_closing():
        writer.write(b"X: " + b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0.01)


async def announce_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announces a large body, and sends none."""
    writer.write(f"{HEAD}Content-Length: {LONG}\r\n\r\n".encode())
    await reader.read()


async def send_slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a body two bytes a second."""
    writer.write(f"{HEAD}Content-Length: 10000\r\n\r\n".encode())
    await _slowly(writer, b"{" * 10_000, 0.5)


async def send_half_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends half of a large body, and nothing more."""
    writer.write(f"{HEAD}Content-Length: {LONG}\r\n\r\n".encode())
    for _ in range(15):
        writer.write(b" " * (LONG // 30))
        await writer.drain()
    await reader.read()


async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Asks again and again, and reads no answer."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not writer.is_closing():
        writer.write(GET)
        await writer.drain()
        await asyncio.sleep(0.001)


async def ask_without_waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a thousand requests before the first answer."""
    writer.write(GET * 1000)
    await reader.read()


async def send_junk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends what is no request."""
    writer.write(b"\x16\x03\x01 no request\r\n\r\n")
    await reader.read()


def _asking(files: list[bytes]) -> Client:
    body = json.dumps({"instances": [{"b64": base64.b64encode(data).decode()} for data in files]}).encode()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        await reader.read()

    return ask


async def _slowly(writer: asyncio.StreamWriter, content: bytes, seconds: float) -> None:
    for byte in content:
        if writer.is_closing():
            return
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(seconds)


def image_file(size: tuple[int, int], kind: str = "JPEG", **options: object) -> bytes:
    """Returns an ordinary image of smooth noise, of height and width `size`."""
    small = np.random.default_rng(0).integers(0, 256, (size[0] // 16 + 1, size[1] // 16 + 1, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(file, kind, **options)
    return file.getvalue()


ATTACKS: dict[str, tuple[int, Callable[[], Client]]] = {
    "idle connections": (2000, lambda: say_nothing),
    "slow headers": (600, lambda: send_slow_header),
    "endless headers": (16, lambda: send_endless_header),
    "announced bodies": (64, lambda: announce_body),
    "slow bodies": (128, lambda: send_slow_body),
    "half bodies": (32, lambda: send_half_body),
    "unread answers": (64, lambda: read_nothing),
    "pipelined requests": (16, lambda: ask_without_waiting),
    "junk": (64, lambda: send_junk),
    "many tiny files": (2, lambda: _asking([image_file((8, 8), "PNG")] * 10_000)),
    "12 megapixels": (1, lambda: _asking([image_file((3000, 4000))])),
    "progressive files": (4, lambda: _asking([image_file((2000, 2000), progressive=True)])),
}
"""The attacks by name: number of clients at once, and what makes a client."""


async def _again(client: Client, port: int) -> None:
    """Runs a client over and over, each time on a connection of its own."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 5)
            try:
                await client(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.5)


async def attack(name: str, port: int) -> None:
    """Runs all clients of an attack until it is cancelled."""
    number, make = ATTACKS[name]
    client = make()
    await asyncio.gather(*(_again(client, port) for _ in range(number)))


if __name__ == "__main__":
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    asyncio.run(attack(sys.argv[1], int(sys.argv[2])))
