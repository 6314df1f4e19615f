# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The official client of nnInteractive's remote protocol, connected to a server of the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession
from served import KEY, Served

SHAPE = (12, 28, 32)
BOX = [[6, 7], [4, 12], [6, 20]]


def connected(server: Served, key: str = KEY) -> Any:
    """A client that has claimed a session."""
    return nnInteractiveRemoteInferenceSession(server.url, api_key=key)


def status_of(call: Callable[..., object], *arguments: Any, **named: Any) -> int:
    """The status with which a call is refused, with one line of detail."""
    with pytest.raises(httpx.HTTPStatusError) as error:
        call(*arguments, **named)
    detail = error.value.response.json()["detail"]
    assert isinstance(detail, str)
    assert "\n" not in detail
    return int(error.value.response.status_code)
