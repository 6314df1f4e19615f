# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The table of cases: a CSV file with a row per object, read whole and refused by line before anything runs.

The columns are in docs/folders.md.
"""

import csv
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.input_file import read_input
from medsam_engine.windows import check_window

_SEPARATORS = (",", ";", "\t")  # a spreadsheet whose decimal sign is a comma writes semicolons
_BOX = ("x0", "y0", "z0", "x1", "y1", "z1")
_BOX_MM = tuple(f"{name}_mm" for name in _BOX)
_OPTIONS = ("modality", "window", "series", "volume")
_COLUMNS = ("file", "name", "label", *_BOX, *_BOX_MM, *_OPTIONS)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float() also takes 1_0 and nan
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_LABEL = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_HIGHEST_LABEL = 0xFFFFFFFF


@dataclass(frozen=True)
class CaseObject:
    """A row: one object of a case.

    Attributes:
        line: of the table, from 1.
        name: of the structure, "" when none is given.
        label: its value in the label map.
        box: voxel indices x0, y0[, z0], x1, y1[, z1], ends inclusive; or mm where `in_mm`.
        in_mm: whether `box` is in mm, LPS.
    """

    line: int
    name: str
    label: int
    box: tuple[float, ...]
    in_mm: bool


@dataclass(frozen=True)
class CaseOptions:
    """How a file is to be read and shown; None where the table does not say."""

    modality: str | None = None
    window: str | None = None
    series: str | None = None
    volume: int | None = None


@dataclass(frozen=True)
class Case:
    """One file and its objects, in the order of their rows.

    Attributes:
        file: as the table has it in the first of the rows.
        path: where that is; relative names lie beside the table.
        line: of the first row, from 1.
        options: the same in all rows.
        objects: at least one.
        lines: of the objects, by label.
    """

    file: str
    path: Path
    line: int
    options: CaseOptions
    objects: list[CaseObject] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseTable:
    """The cases in the order of their first rows, and the names of the columns that have no meaning here."""

    cases: list[Case]
    unused_columns: list[str]


def read_case_table(path: Path) -> CaseTable:
    """Reads a table of cases.

    Raises:
        InvalidArgument: no such file, no table, a row with an error (by its line), or no row. Files are not looked for.
    """
    try:
        text = read_input(path, "cases").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"cases: got {path}, expected UTF-8, but byte {error.start} is not; save it as CSV UTF-8"
        ) from error
    header, separator = _header(path, text)
    unused = [name for name in header if name not in _COLUMNS]
    cases: dict[tuple[str, str], Case] = {}
    for line, cells in _rows(path, text, separator):
        if line == 1 or not any(cell.strip() for cell in cells):
            continue
        try:
            if len(cells) != len(header):
                raise InvalidArgument(
                    f"got {len(cells)} fields, expected {len(header)} as in the first line; quote a field that holds "
                    f"a separator, and write decimal points"
                )
            _add_row(cases, path.parent, line, dict(zip(header, cells, strict=True)))
        except Error as error:
            raise InvalidArgument(f"{path.name} line {line}: {error}") from error
    if not cases:
        raise InvalidArgument(f"cases: got no row below the first line of {path}, expected one per object")
    return CaseTable(list(cases.values()), [name for name in unused if name])


def _header(path: Path, text: str) -> tuple[list[str], str]:
    first = text.split("\n", 1)[0]
    for separator in _SEPARATORS:
        _, cells = next(_rows(path, first, separator), (1, []))
        names = [cell.strip().lower() for cell in cells]
        if "file" in names:
            break
    else:
        raise InvalidArgument(
            f"cases: got no column named file in the first line of {path}, expected names of columns such as "
            "file,name,x0,y0,z0,x1,y1,z1"
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise InvalidArgument(f"cases: got the column {twice[0]} twice in {path}, expected each once; remove one")
    if not any({"x0", "y0", "x1", "y1"} <= {name.removesuffix(unit) for name in names if name.endswith(unit)}
               for unit in ("", "_mm")):  # fmt: skip
        raise InvalidArgument(
            f"cases: got the columns {', '.join(names)} in {path}, expected x0, y0, x1 and y1 (z0 and z1 for volumes), "
            "or the same with _mm"
        )
    return names, separator


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its first line."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidArgument(f"{path.name} line {line}: got no CSV, {error}; correct the line") from error
        yield line, cells


def _add_row(cases: dict[tuple[str, str], Case], folder: Path, line: int, row: dict[str, str]) -> None:
    file = row["file"]
    if not file.strip() or "\0" in file:
        raise InvalidArgument("got no file, expected the name of an image; fill the column file")
    path = folder / file
    if path.name in ("", ".."):
        path = path.resolve()  # a series in the table's own folder
    # Two spellings of one name are one case. Two links to one file are two cases: each has a name for its answer.
    key = (os.path.realpath(path.parent), path.name)
    options = _options(row)
    case = cases.setdefault(key, Case(file, path, line, options))
    if options != case.options:
        raise InvalidArgument(
            f"got another {' or '.join(_differing(options, case.options))} for {file} than in line {case.line}, "
            "expected the same in every row of a file; use a second table with another folder of answers"
        )
    case.objects.append(_object(row, line, case))


def _differing(one: CaseOptions, other: CaseOptions) -> list[str]:
    return [name for name in _OPTIONS if getattr(one, name) != getattr(other, name)]


def _options(row: dict[str, str]) -> CaseOptions:
    texts = {name: row.get(name, "").strip() or None for name in _OPTIONS}
    check_window(texts["window"])
    volume = texts["volume"]
    if volume is not None and not _WHOLE.fullmatch(volume):
        raise InvalidArgument(f"got '{volume}' for volume, expected a whole number from 0")
    return CaseOptions(texts["modality"], texts["window"], texts["series"], int(volume) if volume is not None else None)


def _object(row: dict[str, str], line: int, case: Case) -> CaseObject:
    given = [columns for columns in (_BOX, _BOX_MM) if any(row.get(name, "").strip() for name in columns)]
    if len(given) != 1:
        got = "boxes in voxels and in mm" if given else "no box"
        raise InvalidArgument(f"got {got}, expected x0 to z1 or x0_mm to z1_mm; fill one of them")
    return CaseObject(
        line, row.get("name", "").strip(), _label(row, line, case), _box(row, given[0]), given[0] is _BOX_MM
    )


def _box(row: dict[str, str], columns: tuple[str, ...]) -> tuple[float, ...]:
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


def _label(row: dict[str, str], line: int, case: Case) -> int:
    text = row.get("label", "").strip()
    if not text:
        label = len(case.objects) + 1
    elif _LABEL.fullmatch(text) and int(text) <= _HIGHEST_LABEL:
        label = int(text)
    else:
        raise InvalidArgument(f"got '{text}' for label, expected a whole number from 1 to {_HIGHEST_LABEL}")
    earlier = case.lines.setdefault(label, line)
    if earlier != line:
        raise InvalidArgument(
            f"got label {label} for {case.file}, which line {earlier} has, expected another for each object; "
            "number all rows of a file, or none"
        )
    return label
