# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Names of labels: in ITK-SNAP's label descriptions and in CSV tables, and which of them can be written."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from medsam_engine.base.printable import cut
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import open_input, size_of

LONGEST_NAME = 64  # characters of the value representation LO (PS3.5 6.2)
_LARGEST_TABLE = 1 << 20  # bytes
_LONGEST_READ = 256
# Number, red, green, blue, opacity, visibility, visibility of the mesh, name: as the file's own comment says.
_SNAP_LINE = re.compile(r"\s*(\d{1,10})(?:\s+\d+){3}\s+[\d.]+\s+\d+\s+\d+\s+\"(.*)\"\s*")


def cleaned(text: str) -> str:
    """A name from a file in one printable line: what is not printable becomes a space; 256 characters are kept."""
    return cut(" ".join("".join(c if c.isprintable() else " " for c in text).split()), _LONGEST_READ)


def dicom_name(value: object) -> str:
    """`cleaned` of a name in a DICOM file, as pydicom has it; "" for none.

    A backslash separates values (PS3.5 6.2), so that of a name that has one, which it may not, pydicom makes a list.
    """
    parts = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return cleaned("\\".join("" if part is None else str(part) for part in parts))


def is_label(text: str) -> bool:
    """Whether `text` is a whole number of plain digits, and short enough for a label."""
    return text.isascii() and text.isdigit() and len(text) <= 10


def names_in_table(path: Path) -> dict[int, str]:
    """Names by label, of a CSV table (.csv: label,name) or of ITK-SNAP's label descriptions (.txt).

    Raises:
        InvalidArgument: no such file, above 1 MiB, no UTF-8, a row of another form, a label twice, or none at all.
    """
    with open_input(path, "names") as file:
        if size_of(file) > _LARGEST_TABLE:
            raise InvalidArgument(f"names: got {size_of(file)} bytes in {path}, expected a table of at most 1 MiB")
        content = file.read(_LARGEST_TABLE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"names: got {path}, which is no UTF-8, expected a text; save it again") from error
    rows = _csv_rows(text, path) if path.suffix.lower() == ".csv" else _snap_rows(text, path)
    names: dict[int, str] = {}
    for label, name in rows:
        if label in names:
            raise InvalidArgument(f"names: got label {label} twice in {path}, expected it once; remove a row")
        names[label] = name
    if not names:
        raise InvalidArgument(f"names: got no label in {path}, expected rows of label,name; fill the table")
    return names


def _csv_rows(text: str, path: Path) -> Iterable[tuple[int, str]]:
    try:  # strict: a quote that is never closed would make one name of all rows below it
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise InvalidArgument(f"names: got no CSV in {path}, {error}; correct the quotes") from error
    for k, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (k == 1 and cells[:2] == ["label", "name"]):
            continue
        if len(cells) < 2 or not is_label(cells[0]) or not cleaned(cells[1]):
            raise InvalidArgument(
                f"names: got '{cleaned(','.join(row))[:60]}' in row {k} of {path}, expected label,name, e.g. 1,liver"
            )
        yield int(cells[0]), cleaned(cells[1])


def _snap_rows(text: str, path: Path) -> Iterable[tuple[int, str]]:
    for k, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _SNAP_LINE.fullmatch(line)
        if match is None or not cleaned(match[2]):
            raise InvalidArgument(
                f"names: got '{cleaned(line)[:60]}' in line {k} of {path}, expected ITK-SNAP's label descriptions, "
                'e.g. 1 255 0 0 1 1 1 "liver"; a table label,name is to end in .csv'
            )
        if int(match[1]) > 0:  # 0 is ITK-SNAP's "Clear Label"
            yield int(match[1]), cleaned(match[2])


def check_names(names: Mapping[int, str], dicom: bool) -> None:
    """Refuses names that cannot be written. InvalidArgument: empty, not printable; in DICOM too long, a backslash."""
    for label, name in names.items():
        if not name.strip() or not name.isprintable():
            raise InvalidArgument(f"name: got '{name}' for label {label}, expected a printable name; correct it")
        if dicom and len(name) > LONGEST_NAME:
            raise InvalidArgument(
                f"name: got {len(name)} characters for label {label} ('{name[:20]}...'), expected at most "
                f"{LONGEST_NAME} in a DICOM SEG; shorten it"
            )
        if dicom and "\\" in name:
            raise InvalidArgument(
                f"name: got a backslash in '{name}' for label {label}, expected none in a DICOM SEG, where it "
                "separates values; rename it"
            )
