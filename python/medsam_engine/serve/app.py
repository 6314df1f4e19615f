# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""All routes behind the gate, as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from medsam_engine.errors import Cancelled, Error, InvalidArgument, Unsupported
from medsam_engine.serve.api import routes as api_routes
from medsam_engine.serve.greeting import greeting
from medsam_engine.serve.leases import AllTaken, NoLease
from medsam_engine.serve.log import log_event
from medsam_engine.serve.metrics import CONTENT_TYPE
from medsam_engine.serve.nninteractive.routes import protocol_routes
from medsam_engine.serve.refusals import TooLarge
from medsam_engine.serve.request_log import RequestLog
from medsam_engine.serve.security import Security
from medsam_engine.serve.worker import WorkerClosed
from medsam_engine.serve.workplace import Workplace

PAGE = Path(__file__).resolve().parent / "page"
_SWEEP_SECONDS = 5.0


def create_app(workplace: Workplace, *, port: int = 1527, page: Path = PAGE) -> Starlette:
    """The application. `port` is the one it is bound to; `page` the folder of the static page, which may be absent."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_sweep(workplace)), asyncio.create_task(_prepare(workplace))]
        yield
        for task in tasks:
            task.cancel()
        await workplace.end()

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def metrics(_request: Request) -> Response:
        return Response(workplace.metrics.text(), headers={"content-type": CONTENT_TYPE})

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        *protocol_routes(workplace),
        *api_routes(workplace),
    ]
    if (page / "index.html").is_file():
        # A route per file: a folder mounted at the root would answer 404 for a known address with a wrong method.
        routes.extend(_page_route(f"/{file.name}", file) for file in sorted(page.iterdir()) if file.is_file())
        routes.append(_page_route("/", page / "index.html"))
    else:
        routes.append(Route("/", lambda _request: PlainTextResponse(greeting())))
    limits = workplace.limits
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestLog, metrics=workplace.metrics),
            Middleware(
                Security,
                access=workplace.access,
                body_bytes=limits.body_bytes,
                body_seconds=limits.body_seconds,
                port=port,
            ),
        ],
        exception_handlers={HTTPException: _http_error, Error: _library_error},
    )


# Not asked of the system: in the registry of Windows, a script may be plain text, which no browser runs.
_PAGE_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _page_route(address: str, file: Path) -> Route:
    async def answer(_request: Request) -> Response:
        return FileResponse(file, media_type=_PAGE_TYPES.get(file.suffix))

    return Route(address, answer)


async def _sweep(workplace: Workplace) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        workplace.leases.sweep()


async def _prepare(workplace: Workplace) -> None:
    try:
        await workplace.prepare()
    except Error as error:
        log_event("study_not_prepared", level=logging.WARNING, error=type(error).__name__)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":
        detail = "address: got one that this server does not have, expected one of docs/serve.md"
    elif error.status_code == 405:
        detail = f"method: got one that this address does not take, expected {(error.headers or {}).get('Allow', '')}"
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


_REFUSALS = (InvalidArgument, Unsupported, Cancelled)
_STATUSES: tuple[tuple[type[Error], int], ...] = ((NoLease, 410), (AllTaken, 503), (WorkerClosed, 410), (TooLarge, 413))


async def _library_error(_request: Request, error: Exception) -> Response:
    """What the library refuses is the request's fault (400), unless it is one of the server's own."""
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), None)
    if status is None:
        status = 400 if isinstance(error, _REFUSALS) else 500
        log_event("refused", status=status, error=type(error).__name__, what=_subject(error))
    headers = {"retry-after": "10"} if status == 503 else None
    return JSONResponse({"detail": " ".join(str(error).split())}, status, headers)


def _subject(error: Exception) -> str:
    """What a message is about ("box", "propagate"), which is the program's own word."""
    word = str(error).partition(":")[0]
    return word if word.isascii() and word.replace("_", "").isalpha() and len(word) <= 20 else "other"
