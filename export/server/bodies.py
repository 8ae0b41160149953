"""Bodies of HTTP requests, read no further than they may be long."""

from __future__ import annotations

from starlette.requests import Request

from export.server.limits import AdmittedRequest


class TooLargeError(ValueError):
    """A body that is longer than the server takes."""


async def read_body(request: Request, max_bytes: int, admitted: AdmittedRequest) -> bytes:
    """Reads the body of a request, counting its bytes while they come in.

    Raises:
        TooLargeError: If it says that it is longer than `max_bytes`, before any of it is read, or turns out to be.
        BusyError: If the bodies of all requests together take too much memory.
    """
    complaint = f"the body is longer than {max_bytes} bytes, the limit of this server; send fewer or smaller files"
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal():
        if int(claimed) > max_bytes:
            raise TooLargeError(complaint)
        admitted.take(int(claimed))
    chunks, length = [], 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > max_bytes:
            raise TooLargeError(complaint)
        if not claimed:
            admitted.take(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)
