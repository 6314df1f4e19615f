# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What requests below /api/ may say, as models: they check each body, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request

from medsam_engine.base.printable import cut, printable
from medsam_engine.errors import InvalidArgument
from medsam_engine.serve.refusals import TooLarge

_SMALL = 1 << 20  # bytes of a body
LARGE = 16 << 20  # with the runs of a brush stroke
_POINTS = 10_000

Key = Annotated[str, Field(min_length=1, max_length=64, description="An object's key.")]
Axis = Annotated[int, Field(ge=0, le=2, description="Of the array: 0 = z, 1 = y, 2 = x.")]
Plane = Annotated[int, Field(ge=0, lt=1 << 31, description="The plane's number along the axis; null for a picture.")]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Drawn(_Body):
    object: Key
    axis: Axis = 0
    slice: Plane | None = None


class Box(_Drawn):
    """Session.add_box: x0, y0, x1, y1 in a plane, or x0, y0, z0, x1, y1, z1; ends inclusive."""

    kind: Literal["box"]
    box: Annotated[list[float], Field(min_length=4, max_length=6)]


class Click(_Drawn):
    """Session.add_click."""

    kind: Literal["click"]
    point: Point
    positive: bool = True


class Scribble(_Drawn):
    """Session.add_scribble."""

    kind: Literal["scribble"]
    line: Annotated[list[Point], Field(min_length=1, max_length=_POINTS)]
    positive: bool = True


class Lasso(_Drawn):
    """Session.add_lasso."""

    kind: Literal["lasso"]
    outline: Annotated[list[Point], Field(min_length=3, max_length=_POINTS)]


class Line(_Drawn):
    """Session.add_line: the longest diameter."""

    kind: Literal["line"]
    line: Annotated[list[Point], Field(min_length=2, max_length=2)]


class Paint(_Body):
    """Session.add_mask of the object's mask with the voxels of `runs` in `box` added, or taken away.

    With `replace`, of these voxels alone.
    """

    kind: Literal["paint"]
    object: Key
    box: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 31)]], Field(min_length=6, max_length=6)]
    runs: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 62)]], Field(max_length=4_000_000)]
    erase: bool = False
    replace: bool = False


AnyPrompt: TypeAlias = Box | Click | Scribble | Lasso | Line | Paint
PROMPT: TypeAdapter[AnyPrompt] = TypeAdapter(Annotated[AnyPrompt, Field(discriminator="kind")])


class Propagate(_Body):
    """Session.propagate."""

    object: Key
    axis: Axis = 0
    direction: Literal["both", "up", "down"] = "both"
    first: Plane | None = None
    last: Plane | None = None
    distance: Annotated[float, Field(gt=0, le=1e6)] | None = None
    seconds: Seconds | None = None


class Preview(_Body):
    """Session.preview_click: where the pointer is."""

    point: Point
    axis: Axis = 0
    slice: Plane | None = None


class ObjectChange(_Body):
    """What a person may change of an object without drawing; what is left out stays."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    color: Annotated[str, Field(pattern="^#[0-9a-f]{6}$")] | None = None
    locked: bool | None = None


class NewUpload(_Body):
    """The files that are to come."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="Of the study, for people.")]
    files: Annotated[int, Field(ge=1, le=20_000)]


M = TypeVar("M")


async def body_of(request: Request, kind: type[M] | TypeAdapter[M], most: int = _SMALL) -> M:
    """The request's JSON body, checked. TooLarge; InvalidArgument: no JSON, or another form; in one line."""
    length = int(request.headers.get("content-length", "0"))
    if length > most:
        raise TooLarge(f"body: got {length} bytes, expected at most {most}")
    content = await request.body()
    adapter: TypeAdapter[M] = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise InvalidArgument(_one_line(error)) from error


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    got = cut(printable(repr(first["input"])), 60)
    return f"{printable(where)}: got {got}; {printable(first['msg'])}"
