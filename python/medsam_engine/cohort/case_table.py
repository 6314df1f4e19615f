# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The table of cases: a CSV file with a row per object, read whole and refused by line before anything runs."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

from medsam_engine.cohort.case_rows import BOX, BOX_MM, COLUMNS, CaseList, CaseRows
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import read_input

_SEPARATORS = (",", ";", "\t")  # a spreadsheet whose decimal sign is a comma writes semicolons


def read_case_table(path: Path, folder: str) -> CaseList:
    """Reads a CSV table of cases, whose names of files are relative to `folder`.

    Raises:
        InvalidArgument: no such file, no table, a row with an error (by its line), or no row. Files are not looked for.
    """
    rows = CaseRows(path.name, folder)
    unused = _read(path, rows, None)
    cases = rows.cases()
    if not cases:
        raise InvalidArgument(f"cases: got no row below the first line of {path}, expected one per object")
    return CaseList(cases, [f"columns that are not used: {', '.join(unused)}"] if unused else [])


def read_prompts_table(path: Path, file: str, image: str) -> CaseSpec:
    """The case of one image from a CSV table without the column `file`. InvalidArgument: as `read_case_table`."""
    rows = CaseRows(path.name, str(path.parent))
    _read(path, rows, image)
    cases = rows.cases()
    if not cases:
        raise InvalidArgument(f"cases: got no row below the first line of {path}, expected one per object")
    return replace(cases[0], file=file, path=image)


def _read(path: Path, rows: CaseRows, file: str | None) -> list[str]:
    """Adds all rows, of one `file` where it is given; returns the columns that have no meaning here."""
    try:
        text = read_input(path, "cases").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"cases: got {path}, expected UTF-8, but byte {error.start} is not; save it as CSV UTF-8"
        ) from error
    header, separator = _header(path, text, "x0" if file is not None else "file")
    if file is not None and "file" in header:
        raise InvalidArgument(
            f"cases: got the column file in {path}, expected the boxes of the image beside it only; remove the column, "
            "or give the table itself as CASES"
        )
    for line, cells in _rows(path, text, separator):
        if line == 1 or not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InvalidArgument(
                f"{path.name} line {line}: got {len(cells)} fields, expected {len(header)} as in the first line; quote "
                "a field that holds a separator, and write decimal points"
            )
        row = dict(zip(header, cells, strict=True))
        rows.add(line, row if file is None else {**row, "file": file})
    return [name for name in header if name and name not in COLUMNS]


def _header(path: Path, text: str, first_of: str) -> tuple[list[str], str]:
    first = text.split("\n", 1)[0]
    for separator in _SEPARATORS:
        _, cells = next(_rows(path, first, separator), (1, []))
        names = [cell.strip().lower() for cell in cells]
        if first_of in {name.removesuffix("_mm") for name in names}:
            break
    else:
        raise InvalidArgument(
            f"cases: got no column named {first_of} in the first line of {path}, expected names of columns such as "
            "file,name,x0,y0,z0,x1,y1,z1"
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise InvalidArgument(f"cases: got the column {twice[0]} twice in {path}, expected each once; remove one")
    corners = ({name for name in columns if name[0] != "z"} for columns in (BOX, BOX_MM))
    if "boxes_from" not in names and not any(columns <= set(names) for columns in corners):
        raise InvalidArgument(
            f"cases: got the columns {', '.join(names)} in {path}, expected x0, y0, x1 and y1 (z0 and z1 for volumes), "
            "the same with _mm, or boxes_from"
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
