# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MetaImage headers of the plain form (itk.org/Wiki/ITK/MetaIO/Documentation), with LOCAL data or one data file."""

import re
from pathlib import Path
from typing import BinaryIO

from medsam_engine.io.itk.plain_header import (
    HeaderFormat,
    PlainHeader,
    not_plain,
    numbers,
    plain_name,
    read_lines,
    whole_number,
)

_FIELD = re.compile(r"[ \t]*([^=]*?)[ \t]*=[ \t]*(.*?)[ \t]*")
_DTYPES = {
    "CHAR": "int8", "UCHAR": "uint8", "SHORT": "int16", "USHORT": "uint16", "INT": "int32", "UINT": "uint32",
    "LONG": "int32", "ULONG": "uint32", "LONG_LONG": "int64", "ULONG_LONG": "uint64", "FLOAT": "float32",
    "DOUBLE": "float64",
}  # fmt: skip
_TRUTH = {"true": True, "false": False, "1": True, "0": False}
# Other names of a field; the value is what is written.
_SAME = {
    "Position": "Offset", "Origin": "Offset", "Rotation": "TransformMatrix", "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}  # fmt: skip
_TRUTHS = ("BinaryData", "BinaryDataByteOrderMSB", "CompressedData")
_WORDS = ("AnatomicalOrientation", "DistanceUnits", "Modality")
_ONE_NUMBER = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
_PER_AXIS = ("Offset", "CenterOfRotation", "ElementSpacing", "ElementSize")
_READ_HERE = (
    "ObjectType", "NDims", "TransformMatrix", "CompressedDataSize", "ElementNumberOfChannels", "ElementType", "DimSize",
    "HeaderSize", "HeaderSizePerSlice", "ElementDataFile",
)  # fmt: skip
_KNOWN = {*_SAME, *_TRUTHS, *_WORDS, *_ONE_NUMBER, *_PER_AXIS, *_READ_HERE}
_LOWER = {name.lower() for name in _KNOWN}


def _fields(file: BinaryIO, path: Path) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    for line, after in read_lines(file, path):
        match = _FIELD.fullmatch(line)
        if match is None or not match[1]:
            raise not_plain(path, f"the line '{line[:60]}'", "KEY = VALUE")
        spelled, value = match[1], match[2]
        if spelled not in _KNOWN:
            # Readers differ in whether case and spaces count; keys that nobody knows are of no matter to the voxels.
            if re.sub(r"[^a-z]", "", spelled.lower()) in _LOWER:
                raise not_plain(path, f"the key '{spelled}'", "the format's own spelling")
            continue
        name = _SAME.get(spelled, spelled)
        if name in fields and fields[name] != value:
            raise not_plain(path, f"the key '{name}' twice", "it once")
        if name != "ElementDataFile" and not value.isascii():
            raise not_plain(path, f"characters beyond ASCII in the value of '{name}'")
        fields[name] = value
        if name == "ElementDataFile":
            return fields, after
    raise not_plain(path, "no key 'ElementDataFile'", "it at the header's end")


def _truth(fields: dict[str, str], name: str, default: bool, path: Path) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    if value.lower() not in _TRUTH:
        raise not_plain(path, f"{name} '{value}'", "True or False")
    return _TRUTH[value.lower()]


def _kept(fields: dict[str, str], axes: int, path: Path) -> dict[str, str]:
    kept = {name: str(_truth(fields, name, False, path)) for name in _TRUTHS if name in fields}
    for names, count in ((_PER_AXIS, axes), (_ONE_NUMBER, 1), (("TransformMatrix",), axes * axes)):
        kept |= {name: numbers(fields[name], count, name, path) for name in names if name in fields}
    for name in _WORDS:
        if re.fullmatch(r"[A-Za-z?_]{1,32}", fields.get(name, "")):
            kept[name] = fields[name]
    return kept


def _read(file: BinaryIO, path: Path) -> PlainHeader:
    fields, start = _fields(file, path)
    missing = [name for name in ("NDims", "DimSize", "ElementType") if name not in fields]
    if missing or "HeaderSizePerSlice" in fields or fields.get("ObjectType", "Image") != "Image":
        got = f"no key '{missing[0]}'" if missing else "an object that is no plain image"
        raise not_plain(path, got, "an Image with NDims, DimSize, ElementType and ElementDataFile")
    axes = whole_number(fields["NDims"], 1, "NDims", path)
    sizes = tuple(whole_number(word, 1, "DimSize", path) for word in fields["DimSize"].split())
    if len(sizes) != axes or axes > 10:
        raise not_plain(path, f"{len(sizes)} numbers in DimSize for NDims {axes}", "one for each axis")
    channels = whole_number(fields.get("ElementNumberOfChannels", "1"), 1, "ElementNumberOfChannels", path)
    kind = fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")
    if not fields["ElementType"].startswith("MET_") or kind not in _DTYPES:
        raise not_plain(path, f"the ElementType '{fields['ElementType']}'", "a type of numbers")
    compressed, binary = _truth(fields, "CompressedData", False, path), _truth(fields, "BinaryData", True, path)
    if compressed and not binary:
        raise not_plain(path, "compressed text", "compressed binary data")
    local = fields["ElementDataFile"].upper() == "LOCAL"
    if not local and path.suffix.lower() != ".mhd":
        raise not_plain(path, f"the data file '{fields['ElementDataFile']}'", "LOCAL, as .mha files have it")
    skip = whole_number(fields.get("HeaderSize", "0"), -1, "HeaderSize", path)
    if skip and (local or compressed or not binary):
        raise not_plain(path, f"a HeaderSize of {skip}", "0 but for a data file of its own that is not compressed")
    packed = whole_number(fields.get("CompressedDataSize", "0"), 0, "CompressedDataSize", path) if compressed else 0
    kept = {**_kept(fields, axes, path), "ElementNumberOfChannels": str(channels)}
    return PlainHeader(
        fields={**kept, "DimSize": " ".join(map(str, sizes)), "ElementType": f"MET_{kind}"},
        sizes=(channels, *sizes) if channels > 1 else sizes,
        dtype=_DTYPES[kind],
        encoding="gzip" if compressed else "raw" if binary else "ascii",
        data_file=None if local else plain_name(fields["ElementDataFile"], path),
        start=start,
        skip=skip,
        packed=packed or None,
    )


def _write(header: PlainHeader, data_file: str, offset: int, packed: int) -> str:
    fields = {"ObjectType": "Image", "NDims": str(len(header.fields["DimSize"].split())), **header.fields}
    fields["BinaryData"] = "True"
    if header.little_endian:
        fields["BinaryDataByteOrderMSB"] = "False"
    if header.encoding == "gzip":
        fields["CompressedDataSize"] = str(packed)
    fields |= {"HeaderSize": str(offset), "ElementDataFile": data_file}
    return "".join(f"{name} = {value}\n" for name, value in fields.items())


META = HeaderFormat(".mhd", "MetaImageIO", _read, _write)
