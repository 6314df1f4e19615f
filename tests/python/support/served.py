# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A server on a free port of this machine, in a thread, and requests to it that no well-behaved client would send."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from medsam_engine.serve.server import bound_socket, server_on
from medsam_engine.serve.workplace import Workplace

DEADLINE = 60.0  # seconds after which a test gives up; nothing waits for it otherwise
KEY = "a key that is long enough".replace(" ", "-")


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def detail(self) -> str:
        """The one line of a refusal."""
        said = json.loads(self.body)
        assert list(said) == ["detail"], said
        assert isinstance(said["detail"], str)
        assert "\n" not in said["detail"]
        return str(said["detail"])


@dataclass
class Served:
    """A running server."""

    workplace: Workplace
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """One request with these headers and no others but Host, Content-Length and the key; _ stands for -.

        `host=` replaces the Host header, `key=` the bearer token; "" leaves it out.
        """
        key = headers.pop("key", self.workplace.access.key or "")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", headers.pop("host", f"127.0.0.1:{self.port}"))
        if key:
            connection.putheader("Authorization", f"Bearer {key}")
        if body is not None and "content_length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        reply = Reply(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    @contextlib.contextmanager
    def raw(self, data: bytes) -> Iterator[socket.socket]:
        """A connection on which these bytes were sent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            connection.sendall(data)
            yield connection

    def claimed(self) -> str:
        """The token of a new lease."""
        reply = self.ask("POST", "/claim", b"")
        assert reply.status == 200
        return str(json.loads(reply.body)["lease_token"])

    def post(self, path: str, token: str, members: dict[str, Any] | None = None) -> Reply:
        """A JSON request of a lease."""
        return self.ask("POST", path, json.dumps(members or {}).encode(), X_Lease_Token=token)


def reply_on(connection: socket.socket) -> Reply:
    """The whole next reply, in however many packets it comes."""
    with http.client.HTTPResponse(connection) as got:
        got.begin()
        return Reply(got.status, dict(got.getheaders()), got.read())


@contextlib.contextmanager
def served(workplace: Workplace) -> Iterator[Served]:
    """Runs a server for the block, and ends it as Ctrl-C does."""
    bound = bound_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    ready = threading.Event()
    server = server_on(bound, workplace, ready.set)
    thread = threading.Thread(target=lambda: server.run(sockets=[bound]))
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield Served(workplace, port)
    finally:
        workplace.begin_to_end()
        server.should_exit = True
        thread.join(DEADLINE)
        assert not thread.is_alive()
