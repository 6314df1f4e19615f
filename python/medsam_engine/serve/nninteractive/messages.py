# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What requests of nnInteractive's protocol say, checked; every fault is one InvalidArgument."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from starlette.requests import Request

from medsam_engine.errors import InvalidArgument
from medsam_engine.serve.refusals import TooLarge

_JSON_BYTES = 64 << 10
_META_BYTES = 8 << 10
_BUFFER_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


class Fields:
    """The members of a JSON object."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._members.get(name, default)
        if not isinstance(value, bool):
            raise InvalidArgument(f"{name}: got {_kind(value)}, expected true or false")
        return value

    def point(self, name: str) -> list[float]:
        """Three finite numbers."""
        return _three_numbers(name, self._members.get(name))

    def pairs(self, name: str) -> list[list[float]]:
        """Three pairs of finite numbers."""
        value = self._members.get(name)
        if not isinstance(value, list) or len(value) != 3:
            raise InvalidArgument(f"{name}: got {_kind(value)}, expected [[low, high], [low, high], [low, high]]")
        return [_numbers(name, pair, 2) for pair in value]

    def optional_pairs(self, name: str) -> list[list[float]] | None:
        """Likewise, or null."""
        return None if self._members.get(name) is None else self.pairs(name)

    def spacing(self) -> tuple[float, float, float]:
        """Mm along each axis; 1 where nothing is said."""
        properties = self._members.get("image_properties")
        value = properties.get("spacing") if isinstance(properties, dict) else None
        if value is None:
            return 1.0, 1.0, 1.0
        a, b, c = _three_numbers("spacing", value)
        if min(a, b, c) <= 0:
            raise InvalidArgument("spacing: got 0 or less, expected positive mm")
        return a, b, c

    def shape(self) -> tuple[int, ...]:
        """The shape of the client's mask."""
        value = self._members.get("shape")
        if not isinstance(value, list) or not all(isinstance(n, int) and 0 < n < 1 << 31 for n in value):
            raise InvalidArgument(f"shape: got {_kind(value)}, expected three whole numbers above 0")
        return tuple(value)

    def dtype(self) -> np.dtype[np.generic]:
        """The type of the client's mask."""
        value = self._members.get("dtype", "uint8")
        if value not in _BUFFER_TYPES:
            raise InvalidArgument(f"dtype: got another than {', '.join(_BUFFER_TYPES)}, expected one of these")
        found: np.dtype[np.generic] = np.dtype(str(value))
        return found


async def json_body(request: Request) -> Fields:
    """The JSON object of a body; without a body, an empty one."""
    return fields_of(bytes(await raw_body(request, _JSON_BYTES)) or b"{}", "body")


def meta(request: Request) -> Fields:
    """The JSON object of the header X-Meta."""
    text = request.headers.get("x-meta", "{}")
    if len(text) > _META_BYTES:
        raise TooLarge(f"X-Meta: got {len(text)} bytes, expected at most {_META_BYTES}")
    return fields_of(text.encode("latin-1"), "X-Meta")


def fields_of(text: bytes, what: str) -> Fields:
    """The members of a JSON object. InvalidArgument: it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what}: got text that is no JSON, expected an object") from error
    if not isinstance(value, dict):
        raise InvalidArgument(f"{what}: got {_kind(value)}, expected an object")
    return Fields(value)


async def raw_body(request: Request, most: int) -> bytearray:
    """The body, into memory that is taken once. TooLarge before anything is read."""
    length = int(request.headers.get("content-length", "0"))
    if length > most:
        raise TooLarge(f"body: got {length} bytes, expected at most {most}")
    body = bytearray(length)
    at = 0
    async for part in request.stream():
        body[at : at + len(part)] = part
        at += len(part)
    if at != length:
        raise InvalidArgument(f"body: got {at} bytes, expected the {length} that were announced")
    return body


def _three_numbers(name: str, value: object) -> list[float]:
    return _numbers(name, value, 3)


def _numbers(name: str, value: object, count: int) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise InvalidArgument(f"{name}: got {_kind(value)}, expected {count} numbers")
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e12 for n in value):
        raise InvalidArgument(f"{name}: got something that is no finite number, expected {count} numbers")
    numbers = [float(n) for n in value]
    assert all(map(math.isfinite, numbers))
    return numbers


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return "nothing" if value is None else "text" if isinstance(value, str) else "another type"
