# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a server must not take from the system it runs on, since Windows answers otherwise."""

from collections.abc import Callable

import pytest
from served import served

from medsam_engine import InvalidArgument
from medsam_engine.cli import serve
from medsam_engine.serve.server import bound_socket
from medsam_engine.serve.workplace import Workplace


def test_scripts_are_scripts_whatever_the_registry_says(
    make_workplace: Callable[..., Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor may have written text/plain there, of which browsers run nothing."""
    monkeypatch.setattr("starlette.responses.guess_type", lambda *_, **__: ("text/plain", None))
    with served(make_workplace()) as server:
        types = {path: server.ask("GET", path).headers["content-type"] for path in ("/main.js", "/style.css", "/")}
    assert types == {
        "/main.js": "text/javascript; charset=utf-8",
        "/style.css": "text/css; charset=utf-8",
        "/": "text/html; charset=utf-8",
    }


def test_a_port_is_one_servers_alone() -> None:
    """With SO_REUSEADDR, Windows would give it to both."""
    with bound_socket("127.0.0.1", 0) as first, pytest.raises(InvalidArgument, match="expected a free one"):
        bound_socket("127.0.0.1", first.getsockname()[1]).close()


@pytest.mark.parametrize(("system", "opens"), [("win32", True), ("darwin", True), ("linux", False)])
def test_the_page_opens_where_there_is_a_screen(system: str, opens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", system)
    assert serve._has_display() is opens
