# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The process: a socket, uvicorn on it, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from medsam_engine.errors import InvalidArgument
from medsam_engine.serve.app import create_app
from medsam_engine.serve.workplace import Workplace

_HEADER_BYTES = 32 << 10
_HEADER_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 75  # longer than the clients keep a connection, so that none is closed under a request
_GRACE_SECONDS = 60


class TimedHeaders(H11Protocol):
    """uvicorn's HTTP, which also closes a connection whose header does not come within 10 s."""

    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected, and owes a header."""
        super().connection_made(transport)
        self._await_header()

    def data_received(self, data: bytes) -> None:
        """Of a header, a body or the next request."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # the header has begun and is not whole
            self._await_header()
        else:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_timer()
        super().connection_lost(exc)

    def _await_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, workplace: Workplace, ready: Callable[[], object] | None) -> None:
        super().__init__(config)
        self._workplace, self._ready = workplace, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None and not self.should_exit:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._workplace.begin_to_end()  # streams end, or their connections would be waited for
        super().handle_exit(sig, frame)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens. InvalidArgument: the host is no address of this machine, or the port is taken."""
    # The protocol is named, because asyncio turns Nagle's algorithm off for such sockets only; a reply of two packets
    # would wait 40 ms for the client's acknowledgment.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # So that a server that has just ended keeps nobody from its port. On Windows the same word would share the port
        # with a server that runs, and this one keeps others from sharing it.
        alone: int | None = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if alone is None else alone, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise InvalidArgument(
            f"--port: got {port} on {host} ({error.strerror or error}), expected a free one; choose another, or 0"
        ) from error
    return bound


def server_on(
    bound: socket.socket, workplace: Workplace, ready: Callable[[], object] | None = None, **settings: Any
) -> uvicorn.Server:
    """A server for `bound`, to be run with run(sockets=[bound]).

    Args:
        bound: from bound_socket.
        workplace: what is served.
        ready: called on the event loop as soon as requests are answered.
        settings: further settings of uvicorn.Config.
    """
    config = uvicorn.Config(
        create_app(workplace, port=bound.getsockname()[1]),
        http=TimedHeaders,
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        **settings,
    )
    return _Server(config, workplace, ready)
