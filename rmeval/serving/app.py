"""The server as an ASGI app: `build_app(model)` under uvicorn, Ray Serve, or any other.

app = build_app(rmeval.load_model("./checkpoint"), Settings(name="my-rm"))
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from rmeval.errors import RmevalError
from rmeval.serving.answers import TooLarge, answer_to, error_response, json_response
from rmeval.serving.guard import Guard
from rmeval.serving.metrics import CONTENT_TYPE
from rmeval.serving.page import page
from rmeval.serving.protocols import PROTOCOLS
from rmeval.serving.service import AWAY, DEAD, READY, Load, Service
from rmeval.serving.settings import MIB, ServedModel, Settings

NOBODY = 499  # nginx's status for a client that has left; nobody reads it
JSON_TYPE = "application/json"
logger = logging.getLogger("rmeval")


def build_app(model: ServedModel | Load, settings: Settings | None = None) -> Starlette:
    """Returns the server of a model, which is checked, or first loaded, when the server starts.

    `model` is loaded already, or a function that loads it, in the thread that will compute; until
    then /ready says 503. It is the server's from then on: a network is of one thread at a time.
    `app.state.service` is the `Service`.
    """
    service = Service(model, settings or Settings())

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.worker.start()
        try:
            yield
        finally:
            service.worker.stop()

    routes = [
        *(Route(path, _score, methods=["POST"]) for path in PROTOCOLS),
        Route("/", _page, methods=["GET"]),
        Route("/health", _health),
        Route("/ready", _ready),
        Route("/metrics", _metrics),
        Route("/v1/models", _models),
        Route("/info", _info),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Guard, key=service.settings.key)],
        exception_handlers={HTTPException: _http_error, 500: _bug},
    )
    app.state.service = service
    return app


async def _score(request: Request) -> Response | TooLarge:
    """Scores what a client of any protocol sends."""
    service, started = _service(request), time.perf_counter()
    path = request.url.path
    response: Response | TooLarge
    try:
        response = await _answer(service, request, path)
    except ClientDisconnect:
        response = Response(status_code=NOBODY)
    except RmevalError as error:
        response = answer_to(error)
        if response.status_code in (500, 502):
            logger.error("%s: %s", path, error)
    service.metrics.requests.labels(path, response.status_code).inc()
    service.metrics.seconds.labels(path).observe(time.perf_counter() - started)
    return response


async def _answer(service: Service, request: Request, path: str) -> Response | TooLarge:
    kind = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        return error_response(400, f"the body is of type {kind!a}; only {JSON_TYPE} is read")
    body = await _body(request, service.settings.max_body_mib)
    if body is None:
        return TooLarge(service.settings.max_body_mib)
    return json_response(await _unless_gone(request, service.answer(path, body)))


async def _body(request: Request, most_mib: int) -> bytes | None:
    """Returns a request's body, or None for one that is too large, of which no more is kept.

    Raises ClientDisconnect for half a body.
    """
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > most_mib * MIB:
        return None
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most_mib * MIB:
                return None
            parts.append(part)
    except asyncio.CancelledError:  # the server ends, and does not wait for who has not sent all
        raise ClientDisconnect from None
    return b"".join(parts)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Any]) -> Any:
    """Returns what some work returns; it ends when the client leaves. Raises ClientDisconnect."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_leaving(request))
    both = (working, leaving)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _page(request: Request) -> Response:
    return page()


async def _health(request: Request) -> Response:
    """200 unless the model's thread has ended."""
    state = _service(request).state
    return json_response({"state": state}, 503 if state == DEAD else 200)


async def _ready(request: Request) -> Response:
    """200 when requests are taken: not while the model is loaded, nor when the queue is drained.

    Nor while an engine elsewhere does not answer; then it is asked again.
    """
    service = _service(request)
    state = service.state
    if state == AWAY:
        service.ask_again()
    return json_response({"state": state}, 200 if state == READY else 503)


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.written(), media_type=CONTENT_TYPE)


async def _models(request: Request) -> Response:
    service = _service(request)
    served = service.served
    shown = [] if served is None else [_shown(served.name, served.max_length, service.started)]
    return json_response({"object": "list", "data": shown})


def _shown(name: str, max_length: int, created: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "rmeval",
        "root": name,
        "parent": None,
        "max_model_len": max_length,
        "permission": [],
    }


async def _info(request: Request) -> Response:
    return json_response(_service(request).describe())


async def _http_error(request: Request, error: Exception) -> Response:
    """What no route takes, as JSON too."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    told = f"{request.method} {path}: {error.detail}; what is served is at GET /info"
    return error_response(error.status_code, told, error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    """What is our fault; its traceback goes to the log."""
    return error_response(500, "an error of the server's own; its log has more")


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
