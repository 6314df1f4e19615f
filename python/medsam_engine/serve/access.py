# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Who may ask: the names of this server, its key, and what a browser gets for it."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable

from medsam_engine.errors import InvalidArgument

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_SHORTEST_KEY = 16  # characters of a key that a person chose, where other machines can try keys


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """The rules of one server; immutable but for the ticket. Thread-safe.

    Args:
        host: what the server is bound to.
        key: the key that a person chose; None = a random one.
        no_key: whoever reaches the server may use it.
        names: further names by which the server is addressed.

    Attributes:
        key: what programs send as a bearer token; None = none is needed.

    Raises:
        InvalidArgument: the server would be open to other machines without a key of its own, or with a short one.
    """

    def __init__(self, host: str, key: str | None = None, *, no_key: bool = False, names: Iterable[str] = ()) -> None:
        self.loopback = is_loopback(host)
        if no_key and key is not None:
            raise InvalidArgument("serve: got --key and --no-token, expected one of them; leave one out")
        if not self.loopback and (key is None or len(key) < _SHORTEST_KEY):
            got = "no key" if key is None else f"a key of {len(key)} characters"
            raise InvalidArgument(
                f"--host: got {host}, which other machines can reach, with {got}, expected --key KEY of at least "
                f"{_SHORTEST_KEY} characters; or leave --host out and use ssh -L (docs/serve.md)"
            )
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise InvalidArgument("--key: got spaces, nothing or other than ASCII, expected letters and digits")
        self.key = None if no_key else key or secrets.token_urlsafe(24)
        self._names = {name.lower().rstrip(".") for name in (*_LOOPBACK_NAMES, *names)}
        self._ticket: str | None = secrets.token_urlsafe(24)
        self._cookie = secrets.token_urlsafe(24)

    def names_us(self, host: str) -> bool:
        """Whether a request's Host header is a name of this server.

        A page of somebody else can make its own name lead here (DNS rebinding), but an address is no name: where other
        machines may reach the server, every address is good.
        """
        name = _without_port(host)
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.loopback

    def new_ticket(self) -> str:
        """A token that opens the page once. The one before it is void."""
        self._ticket = secrets.token_urlsafe(24)
        return self._ticket

    def opens(self, token: str) -> bool:
        """Whether a token of an address opens the page: the ticket, which is used up, or the key."""
        ticket = self._ticket
        if ticket is not None and _same(token, ticket):
            self._ticket = None
            return True
        return self.key is None or _same(token, self.key)

    def cookie(self) -> str:
        """What a browser that has opened the page sends from then on."""
        return self._cookie

    def lets_in(self, bearer: str | None, cookie: str | None) -> bool:
        """Whether a request with this Authorization (without "Bearer ") and cookie may be answered."""
        if self.key is None:
            return True
        by_key = bearer is not None and _same(bearer, self.key)
        by_cookie = cookie is not None and _same(cookie, self._cookie)
        return by_key or by_cookie


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _without_port(host: str) -> str | None:
    """The name in a Host header, in lower case; None if it is none."""
    text = host.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = text.partition(":")
    if port and not port.isdecimal():
        return None
    return name.rstrip(".") or None
