# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The rows of a table, one per object, to its cases: what a row may say, whatever the format of the table.

The columns are in docs/many_cases.md.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsam_engine.base.addresses import check_url, is_url, joined
from medsam_engine.cohort.case_spec import PROMPT_KINDS, CaseSpec, ObjectPrompt
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.windows import check_window

BOX = ("x0", "y0", "z0", "x1", "y1", "z1")
BOX_MM = tuple(f"{name}_mm" for name in BOX)
_OPTIONS = ("modality", "window", "series", "volume")
COLUMNS = ("file", "name", "label", "boxes_from", "prompt", *BOX, *BOX_MM, *_OPTIONS)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float() also takes 1_0 and nan
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_LABEL = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_HIGHEST_LABEL = 0xFFFFFFFF


@dataclass(frozen=True)
class CaseList:
    """The cases in the order in which they were named.

    Attributes:
        cases: at least one.
        notes: what the table or the folder holds that is not used.
    """

    cases: list[CaseSpec]
    notes: list[str] = field(default_factory=list)


@dataclass
class _Begun:
    """A case of which rows have been read."""

    file: str
    path: str
    line: int
    options: dict[str, str | None]
    boxes_from: str | None
    objects: list[ObjectPrompt] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)  # of the objects, by label


class CaseRows:
    """Collects the rows of one table; rows with the same file are one case."""

    def __init__(self, source: str, folder: str) -> None:
        """`source` is the table's name in messages; names of files are relative to `folder`, a path or a URL."""
        self._source, self._folder = source, folder
        self._begun: dict[tuple[str, str], _Begun] = {}

    def add(self, line: int, row: Mapping[str, str]) -> None:
        """Adds a row: text by column, "" where it has none. InvalidArgument, which names the line."""
        try:
            self._add(line, row)
        except Error as error:
            raise InvalidArgument(f"{self._source} line {line}: {error}") from error

    def cases(self) -> list[CaseSpec]:
        """All cases, in the order of their first rows."""
        return [
            CaseSpec(
                begun.file,
                begun.path,
                tuple(begun.objects),
                begun.boxes_from,
                begun.options["modality"],
                begun.options["window"],
                begun.options["series"],
                int(begun.options["volume"]) if begun.options["volume"] is not None else None,
                self._source,
                begun.line,
            )
            for begun in self._begun.values()
        ]

    def _add(self, line: int, row: Mapping[str, str]) -> None:
        file = row.get("file", "")
        if not file.strip() or "\0" in file:
            raise InvalidArgument("got no file, expected the name of an image; fill the column file")
        path, key = self._place(file)
        check_url("file", path)
        options = _options(row)
        beside = row.get("boxes_from", "").strip()
        boxes_from = joined(self._folder, beside) if beside else None
        check_url("boxes_from", boxes_from or "")
        case = self._begun.setdefault(key, _Begun(file, path, line, options, boxes_from))
        wanted = {**options, "boxes_from": boxes_from}
        had = {**case.options, "boxes_from": case.boxes_from}
        if wanted != had:
            names = [name for name in wanted if wanted[name] != had[name]]
            raise InvalidArgument(
                f"got another {' or '.join(names)} for {file} than in line {case.line}, expected the same in every row "
                "of a file; use a second table with another folder of answers"
            )
        if boxes_from is None:
            case.objects.append(_object(row, line, case))
        elif case.line != line or any(row.get(name, "").strip() for name in (*BOX, *BOX_MM, "name", "label", "prompt")):
            raise InvalidArgument(
                f"got boxes_from and more of the objects of {file}, expected one row without box, name and label; the "
                "file gives all of them"
            )

    def _place(self, file: str) -> tuple[str, tuple[str, str]]:
        place = joined(self._folder, file)
        if is_url(place):
            return place, (place, "")
        path = Path(place)
        if path.name in ("", ".."):
            path = path.resolve()  # a series in the table's own folder
        # Two spellings of one name are one case. Two links to one file are two cases: each has a name for its answer.
        return str(path), (os.path.realpath(path.parent), path.name)


def _options(row: Mapping[str, str]) -> dict[str, str | None]:
    texts = {name: row.get(name, "").strip() or None for name in _OPTIONS}
    check_window(texts["window"])
    volume = texts["volume"]
    if volume is not None and not _WHOLE.fullmatch(volume):
        raise InvalidArgument(f"got '{volume}' for volume, expected a whole number from 0")
    return texts


def _object(row: Mapping[str, str], line: int, case: _Begun) -> ObjectPrompt:
    given = [columns for columns in (BOX, BOX_MM) if any(row.get(name, "").strip() for name in columns)]
    if len(given) != 1:
        got = "boxes in voxels and in mm" if given else "no box"
        raise InvalidArgument(f"got {got}, expected x0 to z1 or x0_mm to z1_mm; fill one of them")
    kind = row.get("prompt", "").strip() or "box"
    if kind not in PROMPT_KINDS:
        raise InvalidArgument(f"got '{kind}' for prompt, expected {' or '.join(PROMPT_KINDS)}; empty means box")
    return ObjectPrompt(
        _label(row, line, case), _box(row, given[0]), row.get("name", "").strip(), given[0] is BOX_MM, line, kind
    )


def _box(row: Mapping[str, str], columns: tuple[str, ...]) -> tuple[float, ...]:
    texts = {name: row.get(name, "").strip() for name in columns}
    flat = not any(text for name, text in texts.items() if name[0] == "z")
    box = []
    for name, text in texts.items():
        if flat and name[0] == "z":
            continue
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise InvalidArgument(f"got '{text}' for {name}, expected a number with a decimal point; correct the cell")
        box.append(float(text))
    return tuple(box)


def _label(row: Mapping[str, str], line: int, case: _Begun) -> int:
    text = row.get("label", "").strip()
    if not text:
        label = len(case.objects) + 1
    elif _LABEL.fullmatch(text) and int(text) <= _HIGHEST_LABEL:
        label = int(text)
    else:
        raise InvalidArgument(f"got '{text}' for label, expected a whole number from 1 to {_HIGHEST_LABEL}")
    earlier = case.lines.get(label)
    case.lines[label] = line
    if earlier is not None:  # also in one line, which may have several objects in a list of cases
        raise InvalidArgument(
            f"got label {label} for {case.file}, which line {earlier} has, expected another for each object; "
            "number all rows of a file, or none"
        )
    return label
