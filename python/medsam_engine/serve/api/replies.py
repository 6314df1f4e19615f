# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What requests below /api/ are answered with, as models for the OpenAPI document. No reply is checked with them.

The tests hold the replies against the document (tests/python/serve/test_openapi.py).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from medsam_engine.serve.api.export import SUFFIXES

_Count = Annotated[int, Field(ge=0)]
_Triple = Annotated[list[float], Field(min_length=3, max_length=3)]
_Row = Annotated[list[float], Field(min_length=4, max_length=4)]
_Shape = Annotated[
    list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=3, description="z, y, x; of a picture y, x.")
]
_Box = Annotated[list[_Count], Field(min_length=6, max_length=6, description="x0, y0, z0, x1, y1, z1; ends inclusive.")]
_Runs = Annotated[list[_Count], Field(description="Lengths in C order, of outside first.")]
_Color = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Refusal(_Reply):
    """Why a request is not answered."""

    detail: Annotated[str, Field(description="One line: what, got, expected, remedy.", pattern="^[^\\n\\r]+$")]


class StudyObject(_Reply):
    """One object of a study; `ml` is null where the voxels have no size."""

    key: str
    name: str
    color: _Color
    locked: bool
    voxels: _Count
    ml: Annotated[float, Field(ge=0)] | None
    box: _Box | None
    prompts: _Count


class Standing(_Reply):
    """The work on a study as it is."""

    revision: _Count
    saved: bool
    undo: _Count
    redo: _Count
    objects: list[StudyObject]


class Mask(_Reply):
    """The part of an object's mask that lies in a box."""

    object: str
    box: _Box
    runs: _Runs


class Masks(Standing):
    """All masks."""

    masks: list[Mask]


class Step(Standing):
    """What a change has done: the box of the changed voxels, and what the affected objects have within it."""

    changed: _Box | None
    masks: list[Mask]


class Propagation(_Reply):
    """The propagation that is running: how many planes it has reached, of those that it will."""

    object: str
    done: _Count
    total: _Count


class Reached(_Reply):
    """Planes of a propagation: fewer done than there are when the time was up, or it was cancelled."""

    done: _Count
    total: _Count
    cancelled: bool


class Propagated(Step):
    """A step, and how far it came."""

    reached: Reached


class Preview(_Reply):
    """The whole plane; null where there is no answer at once."""

    runs: _Runs | None


class GrayLevels(_Reply):
    """The values that are shown black and white."""

    low: float
    high: float


class StudyReply(Standing):
    """All that the page has to know to show a study."""

    id: str
    name: str
    shape: _Shape
    color: bool
    type: Annotated[str, Field(description="NumPy's name of the type of the values of /volume.")]
    spacing: Annotated[_Triple, Field(description="x, y, z in mm; 1 where the file has none.")]
    spaced: bool
    affine: Annotated[list[_Row], Field(min_length=4, max_length=4, description="To LPS in mm.")] | None
    modality: str | None
    window: GrayLevels
    notes: list[str]
    resumed: bool
    formats: list[Literal[tuple(sorted(SUFFIXES))]]  # type: ignore[valid-type]  # of a table, not spelled out


class CtWindow(_Reply):
    """In Hounsfield units."""

    width: float
    level: float


class EngineReply(_Reply):
    """The model."""

    family: str
    profile: str
    precision: str


class OpenStudyReply(_Reply):
    """A study in the list."""

    id: str
    name: str
    shape: _Shape


class LimitsReply(_Reply):
    """Bytes that one more upload may have."""

    upload_bytes: _Count


class State(_Reply):
    """What is open, and what the engine is."""

    version: str
    engine: EngineReply
    windows: dict[str, CtWindow]
    studies: list[OpenStudyReply]
    limits: LimitsReply


class NewUploadReply(_Reply):
    """Where the files go."""

    upload: str


class Opened(_Reply):
    """The study."""

    study: str
