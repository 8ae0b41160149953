"""The messages of workers to each other: lines of JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

USER, LOST, FAILED, LEFT = "user's mistake", "lost another", "failed", "left"
"""Why a worker ends. One that left, at the end or by Ctrl-C, is missed only if others still need it."""

LONGEST = 2**20
"""Longest message that is read, in bytes."""

_SPEAKER = "worker"


class ForeignError(Exception):
    """What speaks is no worker of this package."""


def encoded(message: dict[str, Any]) -> bytes:
    """Returns a message as it is sent."""
    return json.dumps({"keras_fcn": _SPEAKER, **message}).encode() + b"\n"


async def read(reader: asyncio.StreamReader, seconds: float) -> dict[str, Any]:
    """Returns the next message; an empty one at the end of the connection.

    Args:
        reader: The connection, which reads lines up to `LONGEST`.
        seconds: The longest time to wait.

    Raises:
        ForeignError: If something else comes.
        TimeoutError: If nothing comes in time.
    """
    try:
        async with asyncio.timeout(seconds):  # Python 3.11's wait_for may lose a cancellation
            line = await reader.readline()
        message = json.loads(line or b"{}")
    except (ValueError, RecursionError):
        raise ForeignError from None
    if not isinstance(message, dict) or (line and message.get("keras_fcn") != _SPEAKER):
        raise ForeignError
    return message
