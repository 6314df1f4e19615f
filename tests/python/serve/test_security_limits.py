# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Attacks by size and by slowness on a running server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from served import KEY, Served, reply_on, served

from medsam_engine.serve import nnia
from medsam_engine.serve import server as server_module
from medsam_engine.serve.workplace import Workplace

# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(make_workplace: Callable[..., Workplace]) -> Workplace:
    return make_workplace(body_bytes=100_000, image_bytes=50_000, body_seconds=0.2)


@pytest.fixture(scope="module")
def small_server(small: Workplace) -> Iterator[Served]:
    with served(small) as running:
        yield running


@pytest.fixture
def token(small_server: Served) -> Iterator[str]:
    token = small_server.claimed()
    yield token
    small_server.post("/release", token)


def test_a_body_is_bounded_before_it_is_read(small_server: Served, token: str) -> None:
    """Four gibibytes are announced and none is sent."""
    reply = small_server.ask("POST", "/set_image", None, Content_Length=str(4 << 30), X_Lease_Token=token)
    assert reply.status == 413
    assert "at most 100000" in reply.detail


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "99999999999999999999999", "", "1, 2"])
def test_lengths_that_are_none(small_server: Served, length: str) -> None:
    with small_server.raw(
        f"POST /claim HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()
    ) as connection:
        assert reply_on(connection).status in (400, 413)


def test_no_bodies_of_unknown_length(small_server: Served, token: str) -> None:
    with small_server.raw(
        f"POST /undo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nX-Lease-Token: {token}\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n".encode()
    ) as connection:
        assert reply_on(connection).status == 411


def test_json_and_meta_are_short(small_server: Served, token: str) -> None:
    assert small_server.ask("POST", "/undo", b" " * 65_537, X_Lease_Token=token).status == 413
    meta = json.dumps({"image_properties": {"spacing": [1, 1, 1]}, "more": "x" * 9000})
    body = nnia.pack(np.zeros((1, 2, 3, 4), np.uint8))
    assert small_server.ask("POST", "/set_image", body, X_Lease_Token=token, X_Meta=meta).status == 413


def test_headers_are_short(small_server: Served) -> None:
    # One packet on the loopback, so that nothing is left unread when the server closes: the reply would be lost.
    too_long = b"x" * server_module._HEADER_BYTES
    with small_server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + too_long) as connection:
        assert reply_on(connection).status == 400


def test_the_bytes_of_all_images_together(small_server: Served, token: str) -> None:
    body = nnia.pack(np.zeros((1, 30, 30, 30), np.uint8))
    assert small_server.ask("POST", "/set_image", body, X_Lease_Token=token).status == 200
    second = small_server.claimed()
    reply = small_server.ask("POST", "/set_image", body, X_Lease_Token=second)
    assert reply.status == 400
    assert "27000 bytes of values, expected at most 23000" in reply.detail
    small_server.post("/release", token)
    assert small_server.ask("POST", "/set_image", body, X_Lease_Token=second).status == 200
    small_server.post("/release", second)


def test_a_mask_is_bounded_by_the_image(small_server: Served, token: str) -> None:
    assert (
        small_server.ask("POST", "/set_image", nnia.pack(np.zeros((1, 2, 8, 8), np.uint8)), X_Lease_Token=token).status
        == 200
    )
    big = nnia.pack(np.zeros((1, 200, 200), np.uint8))
    reply = small_server.ask(
        "POST", "/add_lasso_interaction", big, X_Lease_Token=token, X_Meta='{"include_interaction": true}'
    )
    assert reply.status == 400
    assert "at most 1024" in reply.detail


# --- slowness ---------------------------------------------------------------------------------------------------------


def test_a_body_that_does_not_come(small_server: Served, token: str) -> None:
    with small_server.raw(
        f"POST /undo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nX-Lease-Token: {token}\r\n"
        "Content-Length: 50\r\n\r\n{".encode()
    ) as connection:
        assert reply_on(connection).status == 408
    assert small_server.post("/undo", token).status == 400  # the lease is still there; it has no image


def test_a_header_that_does_not_come(small_server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_HEADER_SECONDS", 0.2)
    for begun in (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"):
        with small_server.raw(begun) as connection:
            assert connection.recv(4096) == b""  # closed


def test_a_second_header_that_does_not_come(small_server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_HEADER_SECONDS", 0.2)
    with small_server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert reply_on(connection).status == 200
        connection.sendall(b"GET /hea")
        assert connection.recv(4096) == b""
