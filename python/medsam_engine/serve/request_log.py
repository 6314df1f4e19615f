# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One event and one count for each request, by its route; nothing of its address, its headers or its body."""

from __future__ import annotations

import logging
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsam_engine.serve.log import log_event, logger
from medsam_engine.serve.metrics import Metrics

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RequestLog:
    """ASGI middleware, the outermost. A failure that nothing else has answered becomes status 500 and one line."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on, measures and tells."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, told = 0, False

        def tell() -> None:
            nonlocal told
            if not told:
                told = True
                self._tell(scope, status, time.perf_counter() - started)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False):
                tell()  # before the client can know
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            # The traceback may quote a name, so only developers get it.
            logger.debug("request failed", exc_info=error)
            log_event("request_failed", level=logging.ERROR, route=route_of(scope), error=type(error).__name__)
            if not status:
                reply = JSONResponse({"detail": f"server: got {type(error).__name__}; see its log"}, 500)
                await reply(scope, receive, watched)
        finally:
            tell()

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        often = route in ("/heartbeat", "/healthz", "/metrics") and status < 400
        level = logging.DEBUG if often else logging.INFO
        log_event("request", level=level, method=method, route=route, status=status, ms=round(seconds * 1000, 2))


def route_of(scope: Scope) -> str:
    """The template of the route that answered, such as /api/studies/{id}; "other" where none did."""
    route = getattr(scope.get("route"), "path", None)
    return str(route) if route else "other"
