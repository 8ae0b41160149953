"""Reading bodies of HTTP requests within limits of size, memory and time."""

from __future__ import annotations

import asyncio
import dataclasses

from starlette.requests import Request

from export.server.limits import AdmittedRequest, LimitError


@dataclasses.dataclass(frozen=True)
class BodyLimits:
    """Limits of a body.

    Attributes:
        max_bytes: The most bytes.
        pause: The longest pause between two pieces, in seconds.
        min_rate: The least bytes per second, after the first `pause` seconds.
    """

    max_bytes: int
    pause: float
    min_rate: float


async def read_body(request: Request, limits: BodyLimits, admitted: AdmittedRequest, end: float) -> bytes:
    """Reads the body of a request, and counts its bytes as they arrive.

    Args:
        request: The request.
        limits: The limits of its body.
        admitted: Counts the bytes of all bodies.
        end: The time of the loop's clock at which the body must have arrived.

    Raises:
        LimitError: If the body is longer than `max_bytes`, by its header, before any of it is read, or in fact; if it
            arrives too slowly; or if the bodies of all requests together take too much memory.
    """
    claimed = request.headers.get("content-length", "")
    if len(claimed) > 18 or (claimed.isdecimal() and int(claimed) > limits.max_bytes):
        raise _too_long(limits)
    now = asyncio.get_running_loop().time
    started, chunks, length = now(), [], 0
    ends = _ends(limits, started, started, length, end)
    try:
        async with asyncio.timeout_at(min(ends.values())) as patience:
            admitted.give_up = lambda: None if patience.expired() else patience.reschedule(started)
            async for chunk in request.stream():
                length += len(chunk)
                if length > limits.max_bytes:
                    raise _too_long(limits)
                admitted.take(len(chunk))
                chunks.append(chunk)
                ends = _ends(limits, started, now(), length, end)
                patience.reschedule(min(ends.values()))
    except TimeoutError:
        admitted.take(0)  # raises if it was given up for others
        raise _late(limits, min(ends, key=ends.__getitem__)) from None
    admitted.arrived()
    return b"".join(chunks)


def _ends(limits: BodyLimits, started: float, now: float, length: int, end: float) -> dict[str, float]:
    """Returns the times by which the next piece must have arrived, by limit."""
    by_rate = started + limits.pause + length / limits.min_rate
    return {"read_timeout": now + limits.pause, "min_rate": by_rate, "timeout": end}


def _late(limits: BodyLimits, limit: str) -> LimitError:
    messages = {
        "read_timeout": f"no byte of the body arrived for {limits.pause:g} seconds",
        "min_rate": f"the body arrived at less than {limits.min_rate:g} bytes per second",
        "timeout": "the request did not arrive in time",
    }
    return LimitError(limit, 408, messages[limit])


def _too_long(limits: BodyLimits) -> LimitError:
    message = f"the body is longer than {limits.max_bytes} bytes, the limit of this server; send fewer or smaller files"
    return LimitError("max_body_mb", 413, message)
