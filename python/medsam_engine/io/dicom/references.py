# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a DICOM SEG or RTSTRUCT refers to, compared with the image it is used with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.slice_grid import Instance, SliceGrid


def check_frame_of_reference(uid: str, what: str, grid: SliceGrid, path: Path, notes: list[str]) -> None:
    """Refuses coordinates of another frame of reference; where one of the two is not told, that is noted.

    Args:
        uid: FrameOfReferenceUID of the file, "" where it has none.
        what: what is in it, for the message, e.g. "segments" or "ROI 3 (liver)".
        grid: the image's.
        path: the file.
        notes: is added to.

    Raises:
        InvalidArgument: both are told and differ.
    """
    uid = one_line(uid, 64) if uid else ""
    if uid and grid.frame_of_reference:
        if uid != grid.frame_of_reference:
            raise InvalidArgument(
                f"labels: got {what} of the frame of reference {uid} in {path}, expected "
                f"{grid.frame_of_reference} of {grid.image.path}; name the image that they were drawn on, or "
                "register and resample them"
            )
        return
    note = f"{path.name}: the frame of reference cannot be compared with the image's; positions alone are"
    if grid.image.positioned and note not in notes:
        notes.append(note)


def note_other_series(series: Iterable[str], grid: SliceGrid, path: Path, notes: list[str]) -> None:
    """Notes that the file refers to other series only: the grid decides, as with a second reconstruction."""
    named = sorted({uid for uid in series if uid})
    if named and grid.series and grid.series not in named:
        notes.append(
            f"{path.name}: refers to another series ({one_line(named[0], 64)}); its positions lie on this image's grid"
        )


def instances(items: Iterable[Any] | None) -> list[Instance]:
    """The images, or the frames of them, that the items of a sequence refer to."""
    found: list[Instance] = []
    for item in items or []:
        numbers: Any = item.get("ReferencedFrameNumber") or 1
        uid = str(item.get("ReferencedSOPInstanceUID") or "")
        found += [(uid, int(number)) for number in (numbers if hasattr(numbers, "__len__") else [numbers])]
    return found


def referred_slices(references: Sequence[Instance], grid: SliceGrid) -> set[int]:
    """Which slices of the image `references` name; those of other images are passed over."""
    places = {instance: k for k, instance in enumerate(grid.instances)}
    return {places[reference] for reference in references if reference in places}
