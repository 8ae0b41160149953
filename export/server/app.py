"""The server's routes and HTTP statuses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import export.server.protocols.v1 as v1
import export.server.protocols.v2 as v2
from export.server.http.answers import LIMIT, PROTOCOL, CountedAnswers, cross_origin, limit_of, problem
from export.server.http.bodies import BodyLimits, read_body
from export.server.limits import Admission, LimitError
from export.server.metrics import Metrics
from export.server.model.engine.process import EngineDiedError
from export.server.model.models import Models, NotServedError
from export.server.model.segmentation import BadFilesError, Segmentation, size_of
from export.server.model.servable import Servable
from export.server.options import ServeOptions
from export.server.protocols.metadata import model_metadata
from keras_fcn import __version__

LOG = logging.getLogger("keras_fcn.server")
PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
REFUSAL_HEADERS = {503: {"Retry-After": "1"}, 408: {"Connection": "close"}}
"""Headers of answers at a limit, by status."""


class Endpoints:
    """Answers requests for masks, in both protocols.

    Args:
        options: Names and limits.
        models: The models.
        segmentation: Segments files.
        metrics: Counts answers.
    """

    def __init__(self, options: ServeOptions, models: Models, segmentation: Segmentation, metrics: Metrics) -> None:
        self._options, self._models, self._segmentation = options, models, segmentation
        self._metrics = metrics
        self._admission = Admission(options.max_waiting, int(options.max_waiting_mb * 1e6), segmentation.has_freed)
        self._body = BodyLimits(int(options.max_body_mb * 1e6), options.read_timeout, options.min_rate)

    async def predict(self, request: Request) -> Response:
        """Answers POST /v1/models/NAME:predict."""
        return await self._counted("v1", request, self._predict)

    async def infer(self, request: Request) -> Response:
        """Answers POST /v2/models/NAME/infer."""
        return await self._counted("v2", request, self._infer)

    async def _predict(self, servable: Servable, body: bytes, request: Request) -> Response:
        call = self._segmentation.call
        parsed = await call(len(body), v1.parse, body, self._options.max_files)
        masks = await self._segmentation.segment(servable, parsed.files)
        content = await call(size_of(masks), v1.format_answer, masks, parsed.by_columns)
        return Response(content, media_type="application/json")

    async def _infer(self, servable: Servable, body: bytes, request: Request) -> Response:
        call = self._segmentation.call
        parsed = await call(len(body), v2.parse, body, request.headers.get(v2.LENGTH_HEADER), self._options.max_files)
        masks = await self._segmentation.segment(servable, parsed.files)
        arguments = (self.name(request), servable.version, parsed, masks)
        content, headers = await call(len(body) + size_of(masks), v2.format_answer, *arguments)  # the id comes back
        return Response(content, headers=headers)

    async def _counted(
        self, protocol: str, request: Request, answer: Callable[[Servable, bytes, Request], Awaitable[Response]]
    ) -> Response:
        """Answers a request and measures its time."""
        started = time.perf_counter()
        request.scope[PROTOCOL] = protocol
        response = await self._answer(request, answer)
        self._metrics.seconds.labels(protocol).observe(time.perf_counter() - started)
        return response

    async def _answer(
        self, request: Request, answer: Callable[[Servable, bytes, Request], Awaitable[Response]]
    ) -> Response:
        end = asyncio.get_running_loop().time() + self._options.timeout
        try:
            servable = self.servable(request)
            _require_plain(request)
            with self._admission.request() as admitted:
                body = await read_body(request, self._body, admitted, end)
                late = LimitError(
                    "timeout", 504, f"no answer within {self._options.timeout:g} seconds; the server is busy"
                )
                async with _until(end, late):
                    return await answer(servable, body, request)
        except LimitError as error:
            request.scope[LIMIT] = error.limit
            return problem(error.status, str(error), REFUSAL_HEADERS.get(error.status))
        except (v1.BadRequestError, BadFilesError) as error:
            request.scope[LIMIT] = limit_of(str(error))
            return problem(400, str(error))
        except HTTPException as error:
            return problem(error.status_code, error.detail, dict(error.headers or {}))
        except EngineDiedError as error:
            LOG.warning("%s", error)
            return problem(503, str(error), REFUSAL_HEADERS[503])
        except ClientDisconnect:
            return problem(499, "the client disconnected")
        except Exception:
            LOG.exception("a request failed")
            return problem(500, "the server failed; its log has the error")

    def servable(self, request: Request) -> Servable:
        """Returns the version that a URL names; raises HTTPException if it is not served."""
        version, label = map(request.path_params.get, ("version", "label"))
        with _not_found():
            return self._models.model(self.name(request)).find(version, label)

    def name(self, request: Request) -> str:
        """Returns the name of the model in a URL."""
        return request.path_params["name"]

    def status(self, request: Request) -> dict[str, Any]:
        """Returns the status of the versions that a URL names; raises HTTPException if there are none."""
        with _not_found():
            model = self._models.model(self.name(request))
        one = {"version", "label"} & set(request.path_params)
        return v1.status(model.name, [self.servable(request)] if one else model.servables, model.warning)

    def exposition(self) -> tuple[bytes, str]:
        """Returns the metrics in Prometheus' text format, and the content type."""
        self._metrics.waiting.set(self._admission.requests)
        self._metrics.arriving.set(self._admission.arriving)
        return self._metrics.exposition()


@contextlib.contextmanager
def _not_found() -> Iterator[None]:
    """Turns NotServedError into HTTPException."""
    try:
        yield
    except NotServedError as error:
        raise HTTPException(404, str(error)) from None


@contextlib.asynccontextmanager
async def _until(end: float, otherwise: Exception) -> AsyncIterator[None]:
    """Raises an exception if the block is not done by a time of the loop's clock, and cancels what it awaits."""
    try:
        async with asyncio.timeout_at(end) as patience:
            yield
    except TimeoutError:
        if not patience.expired():
            raise
        raise otherwise from None


def _require_plain(request: Request) -> None:
    """Raises HTTPException if the body is compressed: what it becomes could be far larger than the limits."""
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        message = f"Content-Encoding is {coding!r}, but bodies are read as they are; send it without, as JSON"
        raise HTTPException(415, message, {"Accept-Encoding": "identity"})


def build_app(options: ServeOptions, models: Models, segmentation: Segmentation, metrics: Metrics) -> Starlette:
    """Returns the application.

    Args:
        options: Names and limits.
        models: The models.
        segmentation: Segments files.
        metrics: Counts answers.
    """
    endpoints = Endpoints(options, models, segmentation, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loader = ThreadPoolExecutor(1, "loader")
        async with segmentation.running(), models.watched(options.poll_seconds, loader):
            yield
        loader.shutdown(wait=False, cancel_futures=True)  # a version that is being loaded holds nobody up

    async def on_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, error.detail, dict(error.headers or {}))

    return Starlette(
        routes=[*_routes(models, endpoints), *_page_routes()],
        middleware=[Middleware(CountedAnswers, metrics), *cross_origin(options.cors)],
        lifespan=lifespan,
        exception_handlers={HTTPException: on_error},
    )


def _routes(models: Models, endpoints: Endpoints) -> list[Route]:
    async def alive(request: Request) -> Response:
        return JSONResponse({"live": True, "ready": True})

    async def server(request: Request) -> Response:
        return JSONResponse({"name": "keras_fcn", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def all_models(request: Request) -> Response:
        return JSONResponse({"models": models.names})

    async def status(request: Request) -> Response:
        return JSONResponse(endpoints.status(request))

    async def metadata(request: Request) -> Response:
        return JSONResponse(model_metadata(endpoints.name(request), endpoints.servable(request)))

    async def model(request: Request) -> Response:
        return JSONResponse(v2.model_metadata(endpoints.name(request), endpoints.servable(request)))

    async def ready(request: Request) -> Response:
        return JSONResponse({"name": endpoints.name(request), "ready": endpoints.servable(request) is not None})

    async def metrics(request: Request) -> Response:
        content, kind = endpoints.exposition()
        return Response(content, headers={"Content-Type": kind})

    routes = [Route(path, alive) for path in ("/v2/health/live", "/v2/health/ready")]
    routes += [Route("/metrics", metrics), Route("/v1/models", all_models), Route("/v2", server)]
    v1_model = "/v1/models/{name}"
    for at in (v1_model, f"{v1_model}/versions/{{version}}", f"{v1_model}/labels/{{label}}"):
        routes.append(Route(f"{at}:predict", endpoints.predict, methods=["POST"]))
        routes += [Route(at, status), Route(f"{at}/metadata", metadata)]
    for at in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes.append(Route(f"{at}/infer", endpoints.infer, methods=["POST"]))
        routes += [Route(at, model), Route(f"{at}/ready", ready)]
    return routes


def _page_routes() -> list[Route | Mount]:
    async def page(request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)

    return [Route("/", page), Mount("/page", StaticFiles(directory=PAGE))]
