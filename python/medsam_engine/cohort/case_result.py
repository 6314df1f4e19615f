# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How a case ended: a plain value, which can be pickled and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DONE, SKIPPED, FAILED, REFUSED, PENDING = "done", "skipped", "failed", "refused", "pending"


@dataclass(frozen=True)
class Measured:
    """An object of a finished answer.

    Attributes:
        label, name: its number in the label map, and the structure's name, "" when the table has none.
        voxels: its voxels, of an image its pixels.
        ml: their volume; None where the spacing is not known, and of images.
        iou: the model's own estimate of the IoU of the mask with the object; None where nothing was found, and where a
            session has answered (a case with a line).
    """

    label: int
    name: str
    voxels: int
    ml: float | None
    iou: float | None

    @staticmethod
    def of(entry: Mapping[str, Any]) -> Measured:
        """The object that a record or a result holds. KeyError, TypeError, ValueError, OverflowError: it is none."""
        ml, iou = (None if entry[key] is None else float(str(entry[key])) for key in ("ml", "iou"))
        return Measured(int(entry["label"]), str(entry["name"]), int(entry["voxels"]), ml, iou)


@dataclass
class CaseResult:
    """A case that has ended. Times are in seconds.

    Attributes:
        name: what the case is called (`CaseSpec.file`).
        answer: where its answer is or would be, a path or a URL.
        status: "done"; "skipped", the answer was there; "failed"; "refused", another answer is in its place and stays;
            "pending", of a plan: it is to be done.
        objects, slices: how many it has; slices are 0 where nothing was segmented.
        read_s, segment_s, write_s, total_s: what it took. Reading and writing overlap with other cases.
        empty_objects: boxes in which nothing was found.
        message: of a failed or refused case: why, in one line.
        measured: the objects of the answer; empty for a failed case.
        quarantined: whether it has failed or ended its process so often that it is not tried any more.
    """

    name: str
    answer: str
    status: str = FAILED
    objects: int = 0
    slices: int = 0
    read_s: float = 0.0
    segment_s: float = 0.0
    write_s: float = 0.0
    total_s: float = 0.0
    empty_objects: int = 0
    message: str = ""
    measured: list[Measured] = field(default_factory=list)
    quarantined: bool = False

    @property
    def whole(self) -> bool:
        """Whether the answer is there, made now or before."""
        return self.status in (DONE, SKIPPED)

    def content(self) -> dict[str, Any]:
        """The result as JSON has it; `from_content` reads it again."""
        return asdict(self)

    @staticmethod
    def from_content(content: Mapping[str, Any]) -> CaseResult:
        """The result that `content()` gave."""
        return CaseResult(**{**content, "measured": [Measured.of(entry) for entry in content["measured"]]})
