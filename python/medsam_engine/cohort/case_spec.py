# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A case as a plain value: one image, what is to be found in it, and how it is to be read and shown.

It holds text and numbers only, so that it can be pickled, written as JSON and sent to another machine; nothing of the
image is in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medsam_engine.base.addresses import check_url
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.named_boxes import default_name

PROMPT_KINDS = ("box", "line")


@dataclass(frozen=True)
class ObjectPrompt:
    """One object of a case.

    Attributes:
        label: its value in the label map, 1 to 4294967295.
        box: voxel indices x0, y0[, z0], x1, y1[, z1], counted from 0, ends inclusive; or mm where `in_mm`. Where `kind`
            is "line", the two ends of the object's longest diameter (RECIST) instead, which lie on one slice.
        name: of the structure, "" when none is given.
        in_mm: whether `box` holds two opposite corners, or the two ends, in mm, LPS.
        line: of the table that it comes from, from 1; 0 where there is none.
        kind: "box" or "line".
    """

    label: int
    box: tuple[float, ...]
    name: str = ""
    in_mm: bool = False
    line: int = 0
    kind: str = "box"

    def __post_init__(self) -> None:
        """InvalidArgument: another kind of prompt."""
        if self.kind not in PROMPT_KINDS:
            raise InvalidArgument(f"prompt: got {self.kind!r:.100}, expected {' or '.join(PROMPT_KINDS)}")

    @property
    def written_name(self) -> str:
        """What its segment and its file are called: its name, or that of its label."""
        return self.name or default_name(self.label)


@dataclass(frozen=True)
class CaseSpec:
    """One image and its objects.

    Attributes:
        file: what the case is called: the name of its image as the table has it. Answers are named after it, and a
            shard is chosen by it.
        path: where the image is: a file, the folder of a DICOM series, or a URL.
        objects: the boxes and lines, in the order in which they are asked; labels differ.
        boxes_from: a file that gives the boxes instead, as for `segment --boxes-from`: a label map or DICOM SEG on the
            same grid, RTSTRUCT, or 3D Slicer ROI; a path or a URL. Without it and without objects, the image is an
            NPZ file with `boxes` beside its `imgs`.
        modality, window: as for `segment`; None = those of the run, or else of the file.
        series: SeriesInstanceUID of the series to read, if the folder holds several.
        volume: index of the volume in a 4D file, counted from 0.
        source: the table's name, for messages; "" where there is none.
        line: of the case in the table, from 1; 0 where there is none.
    """

    file: str
    path: str
    objects: tuple[ObjectPrompt, ...] = ()
    boxes_from: str | None = None
    modality: str | None = None
    window: str | None = None
    series: str | None = None
    volume: int | None = None
    source: str = ""
    line: int = 0

    def __post_init__(self) -> None:
        """InvalidArgument: a URL with a secret in it."""
        for place in (self.path, self.boxes_from or ""):
            check_url("case", place)

    @staticmethod
    def of(
        file: str,
        boxes: Sequence[Sequence[float]] = (),
        *,
        boxes_mm: Sequence[Sequence[float]] = (),
        lines: Sequence[Sequence[float]] = (),
        lines_mm: Sequence[Sequence[float]] = (),
        names: Sequence[str] = (),
        boxes_from: str | None = None,
        modality: str | None = None,
        window: str | None = None,
        series: str | None = None,
        volume: int | None = None,
    ) -> CaseSpec:
        """The case of one image, whose objects are numbered from 1 in the order of their boxes or lines.

        Args:
            file: a file, the folder of a DICOM series, or a URL.
            boxes: (N, 4) or (N, 6) as in `ObjectPrompt.box`, in voxels.
            boxes_mm: the same in mm, LPS; instead of `boxes`.
            lines: longest diameters as in `ObjectPrompt.box`, in voxels; instead of `boxes`.
            lines_mm: the same in mm, LPS.
            names: one per box or line, or none.
            boxes_from: as the attribute, instead of boxes.
            modality: as the attribute.
            window: as the attribute.
            series: as the attribute.
            volume: as the attribute.

        Raises:
            InvalidArgument: prompts of two kinds, another count of names than of prompts, or a number that is not
                finite.
        """
        prompts = {"boxes": boxes, "boxes_mm": boxes_mm, "lines": lines, "lines_mm": lines_mm}
        given = [name for name, value in prompts.items() if len(value)]
        if len(given) + bool(boxes_from) > 1:
            asked = " and ".join([*given, *(["boxes_from"] if boxes_from else [])])
            raise InvalidArgument(f"case: got {asked} for {file}, expected one of them")
        kind = "line" if len(lines) or len(lines_mm) else "box"
        rows = [tuple(float(number) for number in row) for row in (prompts[given[0]] if given else ())]
        for row in rows:
            if len(row) not in (4, 6) or not all(map(math.isfinite, row)):
                raise InvalidArgument(
                    f"case: got the {kind} {list(row)} for {file}, expected x0, y0, x1, y1 or x0, y0, z0, x1, y1, z1"
                )
        if names and len(names) != len(rows):
            raise InvalidArgument(
                f"case: got {len(names)} names for {len(rows)} prompts of {file}, expected one per prompt"
            )
        in_mm = bool(len(boxes_mm) or len(lines_mm))
        objects = tuple(
            ObjectPrompt(k + 1, row, names[k] if names else "", in_mm, kind=kind) for k, row in enumerate(rows)
        )
        return CaseSpec(file, file, objects, boxes_from, modality, window, series, volume)

    def content(self) -> dict[str, Any]:
        """The case as JSON has it; `from_content` reads it again."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", 0, ())}

    @staticmethod
    def from_content(content: dict[str, Any]) -> CaseSpec:
        """The case that `content()` gave. InvalidArgument: it is of something else."""
        try:
            objects = tuple(
                ObjectPrompt(**{**entry, "box": tuple(map(float, entry["box"]))})
                for entry in content.get("objects", ())
            )
            return CaseSpec(**{**content, "objects": objects})
        except InvalidArgument:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArgument(f"case: got {content!r:.200}, expected the content of a CaseSpec; {error}") from error

    @property
    def where(self) -> str:
        """The case's place in its table, for messages: "cases.csv line 4"; its name where there is none."""
        return f"{self.source} line {self.line}" if self.line else self.file
