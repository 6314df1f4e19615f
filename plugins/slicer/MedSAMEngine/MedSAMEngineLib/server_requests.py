# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Requests to `medsam-engine serve`, and the message of one that fails."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

from medsam_engine import InvalidArgument

_SECONDS = 600.0  # for an upload, or the first answer about a big volume
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Server(NamedTuple):
    """Whom to ask.

    Attributes:
        address: as the server prints it: http://127.0.0.1:1527.
        key: that it prints beside it; "" = it asks for none.
    """

    address: str
    key: str = ""


class Requests:
    """Any thread.

    Raises:
        InvalidArgument: the server's address is none.
    """

    def __init__(self, server: Server) -> None:
        parts = urllib.parse.urlsplit(server.address.strip().rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgument(f"server: got {server.address!r}, expected an address such as http://127.0.0.1:1527")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path}"
        # A proxy of the environment would be asked for this very machine, too.
        direct = [urllib.request.ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener = urllib.request.build_opener(*direct)
        key = server.key.strip()
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a reply, or None.

        Args:
            method: GET, POST, PUT or DELETE.
            path: from /api/ on.
            body: bytes as they are, else what becomes JSON; None = no body.

        Raises:
            InvalidArgument: the server refuses, with its own line; no server answers; or it is another one.
        """
        headers = dict(self._headers)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not body:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=_SECONDS) as reply:
                content = reply.read()
            return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            raise InvalidArgument(_detail(error)) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise InvalidArgument(
                f"server: got no answer from {self._base} ({reason}); start medsam-engine serve there, and paste the "
                "address that it prints"
            ) from error
        except ValueError as error:
            raise InvalidArgument(_OTHER) from error


_OTHER = "server: got an answer without JSON, expected medsam-engine serve; check the address, and proxies on the way"


def _detail(error: urllib.error.HTTPError) -> str:
    """The server's own line, or what a proxy's page amounts to."""
    if error.code == 401:
        return "server: got a key that it does not take, expected the one that it prints; paste it"
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{_OTHER} (status {error.code})"
