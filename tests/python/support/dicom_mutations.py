# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM files as trees of raw elements, so that any value, VR and length can be put into any tag, nested ones too."""

import struct
from dataclasses import dataclass, replace
from io import BytesIO

import pydicom
from hypothesis import strategies as st
from mutations import TEXTS, Changed, Strategy
from pydicom.datadict import keyword_for_tag, tag_for_keyword

_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
_UNDEFINED = 0xFFFFFFFF
_ITEM = (0xFFFE, 0xE000)
# What voxels and geometry depend on.
_WATCHED = [
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "PhotometricInterpretation",
    "PixelPaddingValue",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Modality",
    "SOPClassUID",
    "TransferSyntaxUID",
    "SpecificCharacterSet",
    "PatientName",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PixelPaddingRangeLimit",
    "SmallestImagePixelValue",
    "ImageType",
]
WATCHED = tuple(tag for tag in (tag_for_keyword(name) for name in _WATCHED) if tag is not None)
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_VRS = ("DS", "IS", "US", "SS", "UL", "FD", "FL", "LO", "CS", "UN", "OB", "OW", "SQ", "AT", "PN", "UI", "ZZ", "\0\0")
_TAILS = (b"", b" ", b"\0", b"\xff\xfe")


@dataclass(frozen=True)
class Element:
    """One element. `items`: of a sequence of defined length, else None. `undefined`: its value goes to the end."""

    tag: tuple[int, int]
    vr: str
    value: bytes
    items: tuple[tuple["Element", ...], ...] | None = None
    undefined: bool = False

    def encoded(self) -> bytes:
        value = self.value
        if self.items is not None:
            bodies = [b"".join(element.encoded() for element in item) for item in self.items]
            value = b"".join(struct.pack("<HHI", *_ITEM, len(body)) + body for body in bodies)
        vr = self.vr.encode("latin-1")
        if self.vr in _LONG:
            length = _UNDEFINED if self.undefined else len(value)
            return struct.pack("<HH2sHI", *self.tag, vr, 0, length) + value
        return struct.pack("<HH2sH", *self.tag, vr, min(len(value), 65535)) + value


def parsed(content: bytes) -> tuple[Element, ...]:
    """Elements in Explicit VR Little Endian, without a preamble."""
    elements, at = [], 0
    while at + 8 <= len(content):
        group, number, vr_bytes, length = struct.unpack_from("<HH2sH", content, at)
        vr, at = vr_bytes.decode("latin-1"), at + 8
        if vr in _LONG:
            length, at = struct.unpack_from("<I", content, at)[0], at + 4
        undefined = length == _UNDEFINED
        value = content[at:] if undefined else content[at : at + length]
        at += len(value)
        items = _items(value) if vr == "SQ" and not undefined else None
        elements.append(Element((group, number), vr, b"" if items is not None else value, items, undefined))
    return tuple(elements)


def _items(value: bytes) -> tuple[tuple[Element, ...], ...] | None:
    items, at = [], 0
    while at < len(value):
        group, number, length = struct.unpack_from("<HHI", value, at)
        if (group, number) != _ITEM or length == _UNDEFINED:
            return None
        items.append(parsed(value[at + 8 : at + 8 + length]))
        at += 8 + length
    return tuple(items)


def explicit(dataset: pydicom.Dataset) -> bytes:
    """A dataset in Explicit VR Little Endian (or its own compression) with sequences of defined length."""
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = False
            for item in element.value:
                item.is_undefined_length_sequence_item = False
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _binary(draw: st.DrawFn, vr: str) -> bytes:
    form = _BINARY[vr]
    if form in "fd":
        numbers = st.one_of(st.floats(-3, 300), st.sampled_from([float("nan"), float("inf"), 0.0]))
        return struct.pack("<" + form, draw(numbers))
    size = struct.calcsize(form)
    number = draw(
        st.one_of(st.sampled_from([0, 1, 2, 3, 7, 8, 11, 12, 15, 16, 32, 64, 255, 65535]), st.integers(0, 300))
    )
    return int(number).to_bytes(4, "little")[:size] * draw(st.sampled_from([1, 1, 1, 1, 2, 0]))


def _changed(draw: st.DrawFn, element: Element) -> list[Element]:
    kind = draw(st.sampled_from(("value", "value", "value", "value", "vr", "out", "twice", "length", "tail")))
    made = []
    if kind == "twice":
        made = [element, replace(element, value=draw(TEXTS).encode())]
    elif kind == "vr":
        made = [replace(element, vr=draw(st.sampled_from(_VRS)), items=None)]
    elif kind == "length":
        made = [replace(element, value=element.value[: draw(st.integers(0, len(element.value)))])]
    elif kind == "tail":
        made = [replace(element, value=element.value + draw(st.sampled_from(_TAILS)))]
    elif kind == "value":
        made = [replace(element, value=_value(draw, element))]
    return made


def _value(draw: st.DrawFn, element: Element) -> bytes:
    if element.vr in _BINARY and draw(st.integers(0, 4)):
        return _binary(draw, element.vr)
    if element.vr in ("DS", "IS", "CS", "UI") and b"\\" in element.value and draw(st.booleans()):
        parts = element.value.decode("latin-1").strip(" \0").split("\\")
        parts[draw(st.integers(0, len(parts) - 1))] = draw(TEXTS)
        text = "\\".join(parts)
    else:
        text = draw(
            st.one_of(
                TEXTS, st.sampled_from(["RGB", "MONOCHROME1", "MONOCHROME2", "YBR_FULL", "PALETTE COLOR", "CT", "MR"])
            )
        )
    value = text.encode()
    return value + b" " * (len(value) % 2)


def _paths(elements: tuple[Element, ...], above: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Element]]:
    found = []
    for k, element in enumerate(elements):
        found.append(((*above, k), element))
        for i, item in enumerate(element.items or ()):
            found += _paths(item, (*above, k, i))
    return found


def _replaced(elements: tuple[Element, ...], path: tuple[int, ...], new: list[Element]) -> tuple[Element, ...]:
    k = path[0]
    if len(path) == 1:
        return (*elements[:k], *new, *elements[k + 1 :])
    items = list(elements[k].items or ())
    items[path[1]] = _replaced(items[path[1]], path[2:], new)
    return (*elements[:k], replace(elements[k], items=tuple(items)), *elements[k + 1 :])


def dicom_tags(content: bytes) -> Strategy:
    """One to three elements changed, mostly of those that voxels and geometry depend on."""
    front, elements = content[:132], parsed(content[132:])

    @st.composite
    def change(draw: st.DrawFn) -> Changed:
        made, done = elements, []
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            paths = _paths(made)
            watched = [entry for entry in paths if (entry[1].tag[0] << 16) + entry[1].tag[1] in WATCHED]
            of_interest = draw(st.integers(0, 6))
            pool = watched if watched and of_interest else paths
            path, element = pool[draw(st.integers(0, len(pool) - 1))]
            new = _changed(draw, element)
            made = _replaced(made, path, new)
            name = keyword_for_tag(element.tag) or str(element.tag)
            done.append(f"{name} -> " + (", ".join(f"{e.vr} {e.value[:40]!r}" for e in new) or "absent"))
        return Changed(front + b"".join(element.encoded() for element in made), "; ".join(done))

    return change()
