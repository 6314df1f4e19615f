# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Lists of cases in JSON Lines and Parquet, with the columns of the table in CSV."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medsam_engine.base.error_text import error_text
from medsam_engine.cohort.case_rows import BOX, BOX_MM, COLUMNS, CaseList, CaseRows
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import read_input

_LISTS = {"box": BOX, "box_mm": BOX_MM, "line": BOX, "line_mm": BOX_MM}


def read_jsonl(path: Path, folder: str) -> CaseList:
    """Reads JSON Lines: an object per line, with the names of the table's columns.

    `box`, `box_mm`, `line` and `line_mm` may hold the numbers of x0 to z1 as a list, and `objects` a list of such
    objects, which have the line's other fields in common.

    Raises:
        InvalidArgument: no such file, a line that is no such object (by its number), or no line.
    """
    rows, unused = CaseRows(path.name, folder), dict[str, None]()
    try:
        lines = read_input(path, "cases").decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"cases: got {path}, expected UTF-8, but byte {error.start} is not") from error
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"{path.name} line {line}"
        try:
            content = json.loads(text, object_pairs_hook=partial(_once, where=where))
        except InvalidArgument:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"{where}: got no JSON, {error}; correct the line") from error
        for entry in _entries(content, where):
            unused.update(dict.fromkeys(name for name in entry if name not in COLUMNS))
            rows.add(line, entry)
    return _list_of(rows, list(unused), path)


def read_parquet(path: Path, folder: str) -> CaseList:
    """Reads a Parquet file, a row per object; the extra [parquet] brings pyarrow.

    Raises:
        InvalidArgument: no such file, no Parquet file, a row with an error (by its number, from 1), or no row.
        Unsupported: pyarrow is not installed.
    """
    require("pyarrow", f"reading {path}")
    from pyarrow import parquet

    rows, line = CaseRows(path.name, folder), 0
    try:
        file = parquet.ParquetFile(path)
        names = [name.lower() for name in file.schema_arrow.names]
        unused = [name for name in file.schema_arrow.names if name.lower() not in {*COLUMNS, *_LISTS}]
        batches = file.iter_batches()
        content = [row for batch in batches for row in batch.to_pylist()]
    except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's errors are ValueErrors
        raise InvalidArgument(f"cases: got {path}, expected a Parquet file; {error_text(error)}") from error
    _once(((name, None) for name in names), path.name)
    for line, row in enumerate(content, start=1):
        where = f"{path.name} line {line}"
        rows.add(line, _texts({name.lower(): value for name, value in row.items()}, where))
    return _list_of(rows, unused, path)


def _list_of(rows: CaseRows, unused: list[str], path: Path) -> CaseList:
    cases = rows.cases()
    if not cases:
        raise InvalidArgument(f"cases: got no row in {path}, expected one per object")
    return CaseList(cases, [f"columns that are not used: {', '.join(unused)}"] if unused else [])


def _entries(content: object, where: str) -> Iterator[dict[str, str]]:
    if not isinstance(content, dict):
        raise InvalidArgument(f'{where}: got {type(content).__name__}, expected an object such as {{"file": ...}}')
    shared = {name: value for name, value in content.items() if name != "objects" and value is not None}
    objects = content.get("objects", [{}])
    if not isinstance(objects, list) or not objects or not all(isinstance(entry, dict) for entry in objects):
        raise InvalidArgument(f'{where}: got no list of objects, expected "objects": [{{"box": [...]}}, ...]')
    for entry in objects:
        yield _texts(_once([*shared.items(), *entry.items()], where), where)


def _once(pairs: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    """The pairs as a dict. InvalidArgument: a name with two values, of which only one would count."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidArgument(f"{where}: got two values for {name!r:.100}, expected one; remove the other")
        found[name] = value
    return found


def _texts(row: Mapping[str, Any], where: str) -> dict[str, str]:
    """The cells of a row as the CSV table would have them."""
    cells: list[tuple[str, str]] = []
    for name, value in row.items():
        if name not in _LISTS:
            cells.append((name, _text(value, name, where)))
            continue
        if value is None:
            continue
        if not isinstance(value, list) or len(value) not in (4, 6):
            raise InvalidArgument(f"{where}: got {name} {value!r:.100}, expected a list of 4 or 6 numbers")
        columns = _LISTS[name] if len(value) == 6 else [column for column in _LISTS[name] if column[0] != "z"]
        cells += [(column, _text(number, column, where)) for column, number in zip(columns, value, strict=True)]
        if name.startswith("line"):
            cells.append(("prompt", "line"))
    return _once(((name, text) for name, text in cells if text), where)


def _text(value: object, name: str, where: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # a cell that pandas left empty
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of whole numbers with an empty cell has type float
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if name in COLUMNS:
        raise InvalidArgument(f"{where}: got {type(value).__name__} for {name}, expected text or a number")
    return ""
