# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NRRD headers of the plain form (teem.sourceforge.net/nrrd/format.html), attached or with one data file."""

import re
from pathlib import Path
from typing import BinaryIO

from medsam_engine.io.itk.nrrd_fields import checked_fields
from medsam_engine.io.itk.plain_header import (
    LARGEST_SKIP,
    HeaderFormat,
    PlainHeader,
    not_plain,
    plain_name,
    read_lines,
    whole_number,
)

_MOST_AXES = 5
_MAGIC = re.compile(r"NRRD000[1-5]")
_FIELD = re.compile(r"([A-Za-z][A-Za-z ]*): +(.*?)[ \t]*")
# The format's names of a type, by the one that is written, which is NumPy's too.
_NAMES = {
    "int8": "signed char|int8|int8_t", "uint8": "uchar|unsigned char|uint8|uint8_t",
    "int16": "short|short int|signed short|signed short int|int16|int16_t",
    "uint16": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "int32": "int|signed int|int32|int32_t", "uint32": "uint|unsigned int|uint32|uint32_t",
    "int64": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "uint64": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "float32": "float", "float64": "double",
}  # fmt: skip
_TYPES = {name: kept for kept, names in _NAMES.items() for name in names.split("|")}
_ITK_NAMES = {"float32": "float", "float64": "double"}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "ascii": "ascii", "text": "ascii", "txt": "ascii"}
# Kept for ITK once nrrd_fields.py has checked them, each by all its names; the first one is written.
_KEPT = (
    ("space",), ("space dimension",), ("spacings",), ("space directions",), ("kinds",), ("centerings", "centers"),
    ("endian",), ("space origin",), ("axis mins", "axismins"), ("axis maxs", "axismaxs"), ("thicknesses",),
    ("space units",),
)  # fmt: skip
# Read here, or of no matter to voxels and grid.
_OTHERS = (
    ("type",), ("dimension",), ("sizes",), ("encoding",), ("data file", "datafile"), ("line skip", "lineskip"),
    ("byte skip", "byteskip"), ("content",), ("labels",), ("units",), ("number",), ("min",), ("max",),
    ("old min", "oldmin"), ("old max", "oldmax"), ("sample units", "sampleunits"), ("measurement frame",),
)  # fmt: skip
_CANONICAL = {name: names[0] for names in (*_KEPT, *_OTHERS) for name in names}


def _fields(file: BinaryIO, path: Path) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    end = 0
    for count, (line, after) in enumerate(read_lines(file, path)):
        end = after
        if count == 0:
            if not _MAGIC.fullmatch(line):
                raise not_plain(path, "no NRRD line at the start", "NRRD0001 to NRRD0005")
            continue
        if not line:
            return fields, end
        match = _FIELD.fullmatch(line)
        name = _CANONICAL.get(match[1].lower()) if match else None
        if match is None or name is None:
            if line.startswith("#") or ":=" in line:  # comments; keys and values, which no voxel depends on
                continue
            raise not_plain(path, f"the line '{line[:60]}'", "a known NRRD field")
        if name in fields:
            raise not_plain(path, f"the field '{name}' twice", "it once")
        fields[name] = match[2]
    return fields, end  # a header of its own may end with the file


def _read(file: BinaryIO, path: Path) -> PlainHeader:
    fields, start = _fields(file, path)
    missing = [name for name in ("type", "dimension", "sizes", "encoding") if name not in fields]
    if missing:
        raise not_plain(path, f"no field '{missing[0]}'", "type, dimension, sizes and encoding")
    kind, encoding = _TYPES.get(fields["type"].lower()), _ENCODINGS.get(fields["encoding"].lower())
    if kind is None:
        raise not_plain(path, f"the type '{fields['type']}'", "a type of numbers")
    if encoding is None:
        raise not_plain(path, f"the encoding '{fields['encoding']}'", "raw, gzip or ascii")
    dimension = whole_number(fields["dimension"], 1, "a dimension of", path)
    sizes = tuple(whole_number(word, 1, "a size of", path) for word in fields["sizes"].split())
    if dimension > _MOST_AXES:
        raise not_plain(path, f"{dimension} axes", f"at most {_MOST_AXES}: 4 and one of components")
    if len(sizes) != dimension:
        raise not_plain(path, f"{len(sizes)} sizes for a dimension of {dimension}", "one for each axis")
    lines = whole_number(fields.get("line skip", "0"), 0, "a line skip of", path)
    skip = whole_number(fields.get("byte skip", "0"), -1, "a byte skip of", path)
    if lines > LARGEST_SKIP or (skip and encoding != "raw") or (skip == -1 and lines):
        raise not_plain(path, f"a line skip of {lines} and a byte skip of {skip} in {encoding} data", "no such skip")
    data_file = fields.get("data file")
    if data_file is not None and path.suffix.lower() != ".nhdr":
        raise not_plain(path, f"the data file '{data_file}'", "attached data, as .nrrd files have it")
    kept = checked_fields({names[0]: fields[names[0]] for names in _KEPT if names[0] in fields}, dimension, path)
    return PlainHeader(
        fields={
            "type": _ITK_NAMES.get(kind, kind),
            "dimension": str(dimension),
            "sizes": " ".join(map(str, sizes)),
            **kept,
        },
        sizes=sizes,
        dtype=kind,
        encoding=encoding,
        data_file=None if data_file is None else plain_name(data_file, path),
        start=start,
        lines=lines,
        skip=skip,
    )


def _write(header: PlainHeader, data_file: str, offset: int, _packed: int) -> str:
    # ITK's reader skips bytes of unpacked data; canonical_file begins other data at byte 0.
    fields = {**header.fields, "encoding": header.encoding, "byte skip": str(offset), "data file": data_file}
    if header.little_endian:
        fields["endian"] = "little"
    return "NRRD0005\n" + "".join(f"{name}: {value}\n" for name, value in fields.items())


NRRD = HeaderFormat(".nhdr", "NrrdImageIO", _read, _write)
