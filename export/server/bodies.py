"""Reading bodies of HTTP requests up to a limit."""

from __future__ import annotations

from starlette.requests import Request

from export.server.limits import AdmittedRequest


class TooLargeError(ValueError):
    """A body that is longer than the limit."""


async def read_body(request: Request, max_bytes: int, admitted: AdmittedRequest) -> bytes:
    """Reads the body of a request, and counts its bytes as they arrive.

    Raises:
        TooLargeError: If the body is longer than `max_bytes`, by its header, before any of it is read, or in fact.
        BusyError: If the bodies of all requests together take too much memory.
    """
    message = f"the body is longer than {max_bytes} bytes, the limit of this server; send fewer or smaller files"
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal():
        if int(claimed) > max_bytes:
            raise TooLargeError(message)
        admitted.take(int(claimed))
    chunks, length = [], 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > max_bytes:
            raise TooLargeError(message)
        if not claimed:
            admitted.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)
