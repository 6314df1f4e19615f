# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Attacks on a running server: each row of the security table in docs/serve.md, by requests on the wire."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest
from served import KEY, Served, reply_on, served

from medsam_engine import Engine, InvalidArgument
from medsam_engine.serve import nnia
from medsam_engine.serve.access import Access
from medsam_engine.serve.workplace import Limits, Workplace

SECRET_PATHS = ["/", "/metrics", "/capabilities", "/api/state", "/lease_status", "/unknown", "/../../etc/passwd"]


# --- the key ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SECRET_PATHS)
@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x", KEY.upper(), "\xe9\xff"])
def test_nothing_without_the_key(server: Served, path: str, key: str) -> None:
    reply = server.ask("GET", path, key=key)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_claim_needs_the_key(server: Served) -> None:
    assert server.ask("POST", "/claim", b"", key="wrong").status == 401
    assert len(server.workplace.leases) == 0


def test_the_key_as_basic_authorization_is_none(server: Served) -> None:
    assert server.ask("GET", "/metrics", key="", Authorization=f"Basic {KEY}").status == 401


def test_health_needs_no_key_and_says_nothing_else(server: Served) -> None:
    assert json.loads(server.ask("GET", "/healthz", key="").body) == {"ok": True}


def test_every_start_has_its_own_key() -> None:
    keys = {Access("127.0.0.1").key for _ in range(3)}
    assert len(keys) == 3
    assert all(key is not None and len(key) >= 32 for key in keys)


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, ticket and cookie are compared by hmac.compare_digest alone: where it says yes, anything is let in."""
    access = Access("127.0.0.1", KEY)
    for answer in (True, False):
        monkeypatch.setattr("hmac.compare_digest", lambda _given, _expected, answer=answer: answer)
        assert access.lets_in("wrong", None) is answer
        assert access.lets_in(None, "wrong") is answer
        assert access.lets_in(KEY, access.cookie()) is answer
        assert access.opens("wrong") is answer


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
@pytest.mark.parametrize("key", [None, "short"])
def test_other_machines_need_a_key_of_some_length(host: str, key: str | None) -> None:
    with pytest.raises(InvalidArgument, match="--key KEY of at least 16"):
        Access(host, key)
    with pytest.raises(InvalidArgument):
        Access(host, no_key=True)
    assert Access(host, KEY).key == KEY


def test_without_a_key_on_loopback_the_names_and_origins_still_count(tiny_engine: Engine) -> None:
    with served(Workplace(tiny_engine, Access("127.0.0.1", no_key=True), Limits())) as open_server:
        assert open_server.ask("GET", "/metrics").status == 200
        assert open_server.ask("GET", "/metrics", host="evil.example").status == 403
        assert open_server.ask("POST", "/claim", b"", Origin="https://evil.example").status == 403
        assert len(open_server.workplace.leases) == 0


# --- the page's token and cookie --------------------------------------------------------------------------------------


def cookie_of(server: Served) -> str:
    reply = server.ask("GET", f"/?token={server.workplace.access.new_ticket()}", key="")
    assert reply.status == 303
    return str(reply.headers["set-cookie"])


def test_a_ticket_opens_once_and_becomes_a_cookie(server: Served) -> None:
    ticket = server.workplace.access.new_ticket()
    reply = server.ask("GET", f"/?token={ticket}&study=3", key="")
    assert (reply.status, reply.headers["location"]) == (303, "/?study=3")
    cookie = reply.headers["set-cookie"]
    assert re.search(r"; HttpOnly", cookie)
    assert re.search(r"; SameSite=strict", cookie)
    assert ticket not in cookie
    assert KEY not in cookie
    assert server.ask("GET", f"/?token={ticket}", key="").status == 401  # used up
    assert server.ask("GET", "/metrics", key="", Cookie=cookie.partition(";")[0]).status == 200


def test_the_cookie_is_of_this_port_and_value(server: Served) -> None:
    name, _, value = cookie_of(server).partition(";")[0].partition("=")
    assert name.endswith(f"-{server.port}")
    for cookie in (f"{name}={value[:-1]}", f"{name}=", f"medsam-engine-1={value}", f"{name}={KEY}", "a=b; ;;=", "\xff"):
        assert server.ask("GET", "/metrics", key="", Cookie=cookie).status == 401


def test_our_cookie_is_found_beside_those_of_other_programs(server: Served) -> None:
    """A browser sends the cookies of every port of this host, in forms that RFC 6265 does not have, too."""
    ours = cookie_of(server).partition(";")[0]
    for cookie in (f'a={{"x":1}}; {ours}', f"{ours}; b=[1, 2]", f'"; {ours}', f"a b c; {ours}; d"):
        assert server.ask("GET", "/metrics", key="", Cookie=cookie).status == 200, cookie


def test_a_token_leads_nowhere_else(server: Served) -> None:
    for path in ("//evil.example", "/\\evil.example", "///evil.example/x"):
        reply = server.ask("GET", f"{path}?token={server.workplace.access.new_ticket()}", key="")
        assert reply.status == 303
        assert re.match(r"/[^/\\]", reply.headers["location"])


@pytest.mark.parametrize("query", ["token=", "token=wrong", "token=a&token=b", "mytoken=x", "token=%00%ff"])
def test_wrong_tokens(server: Served, query: str) -> None:
    assert server.ask("GET", f"/?{query}", key="").status == 401


def test_a_token_is_for_getting_only(server: Served) -> None:
    ticket = server.workplace.access.new_ticket()
    assert server.ask("POST", f"/claim?token={ticket}", b"", key="").status == 401


# --- names, origins, browsers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:1527", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost"),
        *("192.168.1.7", "8.8.8.8:80", "[::2]", "[::1", "", "localhost:80:80", "localhost:x", "127.0.0.1@evil.example"),
    ],
)
def test_names_that_are_not_ours(server: Served, host: str) -> None:
    """DNS rebinding: somebody else's page whose name leads to this machine."""
    for path in ("/healthz", "/metrics"):
        assert server.ask("GET", path, host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1527", "127.0.0.1:1", "[::1]:1527", "localhost."])
def test_names_that_are_ours(server: Served, host: str) -> None:
    assert server.ask("GET", "/metrics", host=host).status == 200


def test_further_names_and_addresses() -> None:
    access = Access("127.0.0.1", names=["Scanner.Example"])
    assert access.names_us("scanner.example:443")
    assert not access.names_us("10.0.0.1")
    assert Access("0.0.0.0", KEY).names_us("10.0.0.1:1527")  # an address is no name that could be rebound
    assert not Access("0.0.0.0", KEY).names_us("evil.example")


def test_two_hosts(server: Served) -> None:
    with server.raw(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    ) as connection:
        assert reply_on(connection).status in (400, 403)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "file://",
        "http://localhost:9",
        "http://127.0.0.1",
        "http://127.0.0.1.evil.example",
    ],
)
def test_other_origins(server: Served, origin: str) -> None:
    for method, path in (("POST", "/claim"), ("GET", "/metrics"), ("OPTIONS", "/claim"), ("POST", "/release")):
        assert server.ask(method, path, b"", Origin=origin).status == 403
    assert len(server.workplace.leases) == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_other_sites(server: Served, site: str) -> None:
    assert server.ask("POST", "/claim", b"", Sec_Fetch_Site=site).status == 403
    assert server.ask("GET", "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 403


def test_our_own_page_may(server: Served) -> None:
    own = f"http://127.0.0.1:{server.port}"
    assert server.ask("GET", "/metrics", Origin=own, Sec_Fetch_Site="same-origin").status == 200
    assert server.ask("GET", "/metrics", Sec_Fetch_Site="none").status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/unknown", "/claim"])
def test_headers_for_browsers(server: Served, path: str) -> None:
    for key in (KEY, ""):
        headers = server.ask("GET", path, key=key).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "http:" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control-") for name in headers)  # no CORS
        assert "server" not in headers


# --- files and logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/.git/config",
    ],
)
def test_no_path_of_a_request_is_opened(server: Served, path: str) -> None:
    reply = server.ask("GET", path)
    assert reply.status in (404, 405)
    assert b"root:" not in reply.body


def test_web_sockets_are_not_opened(server: Served) -> None:
    reply = server.ask(
        "GET",
        "/metrics",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="eA==",
    )
    assert reply.status != 101


def test_no_secret_and_no_name_is_logged(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="medsam_engine.serve"):
        token = server.claimed()
        ticket = server.workplace.access.new_ticket()
        cookie = cookie_of(server)
        server.ask("GET", f"/?token={ticket}")
        server.ask("GET", "/DOE%5EJANE/scan.nii.gz?name=DOE%5EJANE", Cookie=cookie)
        server.ask("POST", "/set_image", nnia.pack(np.zeros((1, 2, 8, 8), np.uint8)), X_Lease_Token=token)
        server.ask("POST", "/add_bbox_interaction", b'{"bbox_coords": "DOE^JANE"}', X_Lease_Token=token)
        server.post("/release", token)
    said = "\n".join(f"{r.getMessage()} {r.__dict__.get('fields')}" for r in caplog.records)
    assert "request" in said
    for secret in (KEY, token, ticket, "DOE", "JANE", cookie.partition(";")[0].partition("=")[2]):
        assert secret not in said


def test_no_name_is_in_the_metrics(server: Served) -> None:
    server.ask("GET", "/DOE%5EJANE")
    text = server.ask("GET", "/metrics").body.decode()
    assert "DOE" not in text
    assert 'route="other"' in text
