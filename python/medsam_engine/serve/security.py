# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The gate before every route: whose request it is, how big it is, and what a browser may do with the reply."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsam_engine.serve.access import Access
from medsam_engine.serve.greeting import greeting

# What a page of this server may load and do: what the server itself sends, and no more.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
# Answered without a key; they say nothing of what is open. The second is for users of an old plugin, which has no keys.
_OPEN_PATHS = ("/healthz", "/upload_image")
_LEAST_BYTES = 16 << 10  # that have to arrive within the time for them


class _TooSlow(Exception):
    """The rest of a body did not come in time."""


class Security:
    """ASGI middleware. Refuses with one line of JSON, `{"detail": ...}`.

    Args:
        app: what is behind the gate.
        access: the names of this server and its key.
        body_bytes: the longest body; longer ones are refused before they are read.
        body_seconds: how long a body may take for each 16 KiB.
        port: part of the cookie's name, because a browser gives the cookies of a host to all of its ports.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, body_bytes: int, body_seconds: float = 30.0, port: int = 1527
    ) -> None:
        self._app, self._access = app, access
        self._body_bytes, self._body_seconds = body_bytes, body_seconds
        self._cookie_name = f"medsam-engine-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or hands on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web socket is ever opened
        headers = Headers(scope=scope)
        send = _with_headers(send)
        refusal = self._stranger(headers) or self._too_long(headers) or self._unknown(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._in_time(scope, receive, send, headers)

    def _stranger(self, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.names_us(hosts[0]):
            return _refusal(
                403, "host: got a name that is not this server's, expected one of its own; add it with --allowed-host"
            )
        for origin in headers.getlist("origin"):
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or parts.netloc.lower() != hosts[0].strip().lower():
                return _refusal(403, "origin: got another page's, expected this server's own; open its own page")
        if any(site not in ("same-origin", "none") for site in headers.getlist("sec-fetch-site")):
            return _refusal(403, "origin: got another site's request, expected this server's own; open its own page")
        return None

    def _too_long(self, headers: Headers) -> Response | None:
        lengths = headers.getlist("content-length")
        if not lengths:
            if "transfer-encoding" in headers:
                return _refusal(411, "body: got no Content-Length, expected one; send the body in one piece")
            return None
        if len(lengths) > 1 or not lengths[0].isdecimal():
            return _refusal(400, "body: got a Content-Length that is no number, expected one")
        if int(lengths[0]) > self._body_bytes:
            return _refusal(
                413,
                f"body: got {int(lengths[0])} bytes, expected at most {self._body_bytes}; "
                "raise the limit with --max-bytes",
            )
        return None

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["path"] in _OPEN_PATHS:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and "token" in query:
            return self._exchange(scope, headers, query)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else None
        if self._access.lets_in(given, Request(scope).cookies.get(self._cookie_name)):
            return None
        if scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            return PlainTextResponse(greeting(), 401, {"www-authenticate": "Bearer"})
        return JSONResponse(
            {"detail": "key: got none or a wrong one, expected the key that the server printed when it started"},
            401,
            {"www-authenticate": "Bearer"},
        )

    def _exchange(self, scope: Scope, headers: Headers, query: dict[str, list[str]]) -> Response:
        """A token in the address becomes a cookie, and the address loses it."""
        tokens = query.pop("token", [])
        if len(tokens) != 1 or not self._access.opens(tokens[0]):
            return PlainTextResponse(greeting(), 401, {"www-authenticate": "Bearer"})
        # A path of its own: "//elsewhere" would lead to another server.
        path = "/" + scope["path"].lstrip("/\\")
        reply = RedirectResponse(path + (f"?{urlencode(query, doseq=True)}" if query else ""), 303)
        reply.set_cookie(
            self._cookie_name,
            self._access.cookie(),
            httponly=True,
            samesite="strict",
            secure=headers.get("x-forwarded-proto") == "https",
        )
        return reply

    async def _in_time(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        started = False
        open_body = int(headers.get("content-length", "0")) > 0
        owed = 0.0  # seconds that the part in hand has taken
        got = 0
        clock = asyncio.get_running_loop().time

        async def timed_receive() -> Message:
            nonlocal open_body, owed, got
            if not open_body:
                return await receive()
            asked = clock()
            try:
                message = await asyncio.wait_for(receive(), self._body_seconds - owed)
            except asyncio.TimeoutError:  # TimeoutError from Python 3.11 on
                raise _TooSlow from None
            owed += clock() - asked
            got += len(message.get("body", b""))
            if got >= _LEAST_BYTES:
                owed, got = 0.0, 0
            open_body = message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, timed_receive, watched_send)
        except _TooSlow:
            if not started:
                reply = _refusal(408, "body: got too little of it in time, expected the whole; send it again")
                reply.headers["connection"] = "close"
                await reply(scope, receive, send)


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
