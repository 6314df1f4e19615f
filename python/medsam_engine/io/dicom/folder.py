# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What lies in a folder of DICOM files: slices, other files, and what looks like a slice but cannot be read.

A volume that is shorter than its folder is a wrong volume: whatever may be a slice of the series and cannot be read has
to be known by name.
"""

import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.header import PREAMBLE, has_preamble, starts_as_data_set
from medsam_engine.io.dicom.pixels import read_dataset
from medsam_engine.io.dicom.planes import Plane, plane_of
from medsam_engine.io.edge import reading
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import open_input

_NOT_IMAGES = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "REG")
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class SliceHeader:
    """What is known of an image file before its pixels are decoded. `size`: rows and columns."""

    path: Path
    series: str
    instance: str
    description: str
    modality: str
    photometric: str
    frame_of_reference: str
    echo: str
    phase: str
    size: tuple[int, int]
    frames: int
    plane: Plane


@dataclass(frozen=True)
class Unreadable:
    """An entry that is no slice, and why. `series`: its UID as far as it can still be read. `text`: begins as text."""

    path: Path
    reason: str
    series: str = ""
    damaged: bool = False  # begins as a DICOM file
    text: bool = False


@dataclass
class FolderContent:
    """Image files in the order of their names, entries that cannot be read, and notes about all others."""

    headers: list[SliceHeader] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def scan(folder: Path, limit: ByteLimit) -> FolderContent:
    """Reads the headers in a folder, not in its subfolders. Hidden files count only where they are DICOM."""
    require("pydicom", f"reading {folder}")
    content = FolderContent()
    for path in sorted(folder.iterdir(), key=lambda entry: (entry.name.startswith("."), entry.name)):
        if path.name.upper() == "DICOMDIR":
            continue
        found = _entry(path, limit)
        if isinstance(found, SliceHeader):
            content.headers.append(found)
        elif isinstance(found, Unreadable):
            if found.damaged or not path.name.startswith("."):
                content.unreadable.append(found)
        elif found:
            content.others[found] += 1
    return content


def _entry(path: Path, limit: ByteLimit) -> SliceHeader | Unreadable | str:
    """An image, something that might have been one, or what kind of other file it is ("" for none to speak of)."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe is not opened: that could wait for ever
            return Unreadable(path, "a folder" if stat.S_ISDIR(mode) else "no regular file", text=stat.S_ISDIR(mode))
        with open_input(path) as file:
            start = file.read(PREAMBLE)
    except (OSError, InvalidArgument) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return Unreadable(path, f"a link that leads nowhere: {reason}" if path.is_symlink() else reason)
    if not start:
        return Unreadable(path, "empty")
    if not has_preamble(start) and not starts_as_data_set(start):
        return Unreadable(path, "no DICOM file", text=_is_text(start))
    try:
        with reading(path):
            return _image(path, read_dataset(path, limit, pixels=False))
    except InvalidArgument as error:
        return Unreadable(path, " ".join(str(error).split()), _series_of(path, limit), damaged=True)


def _is_text(start: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\n\f\r" for byte in start)


def _series_of(path: Path, limit: ByteLimit) -> str:
    """The series that a damaged file says it is of, "" when it is too short to say."""
    try:
        with open_input(path) as file:
            if file.seek(0, 2) > limit.max_bytes:
                return ""
            file.seek(0)
            pydicom = require("pydicom", f"reading {path}")
            dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        return str(dataset.get("SeriesInstanceUID") or "")
    except Exception:  # whatever is wrong with it has been said already
        return ""


def _image(path: Path, dataset: Any) -> SliceHeader | Unreadable | str:
    series, modality = str(dataset.get("SeriesInstanceUID") or ""), str(dataset.get("Modality") or "")
    if modality in _NOT_IMAGES:
        return modality
    if "Rows" not in dataset or "Columns" not in dataset:
        meta = getattr(dataset, "file_meta", {})
        kind = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
        if kind is None or "Image Storage" in kind.name or not series:
            return Unreadable(path, "cut off before its pixels", series, damaged=True)
        return modality or "no image"
    return SliceHeader(
        path=path,
        series=series or "without UID",
        instance=str(dataset.get("SOPInstanceUID") or ""),
        description=str(dataset.get("SeriesDescription") or ""),
        modality=modality,
        photometric=str(dataset.get("PhotometricInterpretation") or ""),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
        echo=str(dataset.get("EchoNumbers") or ""),
        phase=str(dataset.get("TemporalPositionIdentifier") or ""),
        size=(int(dataset.Rows), int(dataset.Columns)),
        frames=int(dataset.get("NumberOfFrames") or 1),
        plane=plane_of(dataset),
    )


def _shape(name: str) -> str:
    """A name with its numbers taken out: slices of one series differ in them."""
    return re.sub(r"[0-9]+(?:\.[0-9]+)*", "#", name.lower())


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return "" if suffix[1:].isdigit() else suffix  # 1.2.840.10008.5 has none


def may_be_slice(entry: Unreadable, chosen: list[SliceHeader], others: list[SliceHeader]) -> bool:
    """Whether something unreadable may be a slice of the chosen series. `others`: images of other series."""
    # What a damaged header says is believed where a sound file says so too.
    if chosen and entry.series != chosen[0].series and entry.series in {header.series for header in others}:
        return False
    shapes = {_shape(header.path.name) for header in chosen}
    if _shape(entry.path.name) in shapes:
        return True
    if _shape(entry.path.name) in {_shape(header.path.name) for header in others}:
        return entry.series != ""
    if entry.damaged or _suffix(entry.path) in _DICOM_SUFFIXES:
        return True
    names = {header.path.name for header in (*chosen, *others)}
    half_there = _shape(entry.path.stem) in shapes and entry.path.stem not in names  # 003.dcm.part
    alike = half_there or _suffix(entry.path) in {_suffix(header.path) for header in chosen}
    return alike and not entry.text  # but a read-me file, a list, a folder


def list_of(entries: list[Unreadable]) -> str:
    """The first of them by name, with the reason."""
    shown = "; ".join(f"{entry.path.name}: {entry.reason}" for entry in entries[:3])
    return shown + (f"; and {len(entries) - 3} more" if len(entries) > 3 else "")
