"""Answers with error messages, and the counting of all answers."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export.server.limits import option
from export.server.metrics import Metrics
from export.server.protocols.v2 import LENGTH_HEADER

PROTOCOL, LIMIT = "keras_fcn.protocol", "keras_fcn.limit"
"""Keys of a request's scope: the protocol of a request for masks, and the limit that a request met."""

FILE_LIMITS = ("max_pixels", "max_scans", "max_texts", "max_whole_mp")
"""The limits of files, options of the export and the server."""


def limit_of(message: str) -> str | None:
    """Returns the limit of files that an error message names, if any."""
    return next((limit for limit in FILE_LIMITS if f"({option(limit)}" in message), None)


def problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Returns an answer with an error message, the same in both protocols."""
    return JSONResponse({"error": message}, status, headers)


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Returns what lets scripts of pages from other origins read answers (Fetch standard, 3.2); nothing for none."""
    if not origins:
        return []
    headers = {"allow_headers": ["Content-Type", LENGTH_HEADER], "expose_headers": [LENGTH_HEADER, "Retry-After"]}
    return [Middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST"], **headers)]


class CountedAnswers:
    """Counts the answers of an application, those to unknown addresses included.

    Args:
        app: The application.
        metrics: Counts them.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count(message["status"], scope.get(LIMIT), scope.get(PROTOCOL, "other"))
            await send(message)

        await self._app(scope, receive, counting)
