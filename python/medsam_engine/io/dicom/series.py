# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A folder of DICOM slices as one volume: whole, or refused with the name of what is missing."""

import filecmp
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.file import is_hounsfield, read_dicom_file
from medsam_engine.io.dicom.folder import SliceHeader, Unreadable, list_of, may_be_slice, scan
from medsam_engine.io.dicom.pixels import DicomPixels, decode, read_dataset
from medsam_engine.io.dicom.planes import Stack, stack_planes
from medsam_engine.io.edge import reading
from medsam_engine.io.engine_values import engine_values
from medsam_engine.io.medical_image import DicomSource, MedicalImage


def _chosen_series(headers: list[SliceHeader], series: str | None, folder: Path) -> list[SliceHeader]:
    by_series: dict[str, list[SliceHeader]] = {}
    for header in headers:
        by_series.setdefault(header.series, []).append(header)
    found = "; ".join(
        f"{uid}: {len(members)} files, {members[0].modality}"
        + (f" '{members[0].description}'" if members[0].description else "")
        for uid, members in sorted(by_series.items())
    )
    if series is not None:
        if series not in by_series:
            raise InvalidArgument(f"series: got {series}, expected one of {folder} ({found}); copy its UID")
        return by_series[series]
    if len(by_series) > 1:
        raise InvalidArgument(
            f"series: got {len(by_series)} in {folder} ({found}), expected one; choose with --series UID (series=UID)"
        )
    return headers


def _is_copy(one: SliceHeader, other: SliceHeader, limit: ByteLimit) -> bool:
    """Whether two files of one SOP instance hold the same image; one may be compressed."""
    if one.size != other.size or not _same_place(one, other):
        return False  # an anonymizer may have given every slice one identifier
    if filecmp.cmp(one.path, other.path, shallow=False):
        return True
    try:
        first, second = (_pixels(header.path, limit).values for header in (one, other))
    except InvalidArgument:
        return False  # then two slices lie in one place, which is refused with both names
    return np.array_equal(first, second)


def _pixels(path: Path, limit: ByteLimit, left: ByteLimit | None = None) -> DicomPixels:
    with reading(path):  # which of many files it was is the first thing to say
        return decode(read_dataset(path, limit), path, left or limit)


def _same_place(one: SliceHeader, other: SliceHeader) -> bool:
    if one.plane.position is None or other.plane.position is None:
        return one.plane.position is other.plane.position
    return np.array_equal(one.plane.position, other.plane.position)


def _without_copies(headers: list[SliceHeader], limit: ByteLimit) -> tuple[list[SliceHeader], list[str]]:
    kept: list[SliceHeader] = []
    by_instance: dict[str, list[SliceHeader]] = {}
    notes: list[str] = []
    for header in headers:
        earlier = by_instance.setdefault(header.instance or f"{header.plane.position}", [])
        original = next((other for other in earlier if _is_copy(header, other, limit)), None)
        if original is not None:
            notes.append(f"left out {header.path.name}: the same image as {original.path.name}")
            continue
        earlier.append(header)
        kept.append(header)
    return kept, notes


def _check_alike(chosen: list[SliceHeader], folder: Path) -> None:
    first = chosen[0]
    for header in chosen:
        if header.frames > 1:
            raise InvalidArgument(
                f"series: got a multi-frame file {header.path.name} among {len(chosen)} files of {folder}, expected "
                "single slices or one multi-frame file; name the file you need"
            )
        if header.size != first.size:
            raise InvalidArgument(
                f"series: got slices of {first.size} and {header.size} pixels in {folder} ({first.path.name}, "
                f"{header.path.name}), expected one size; move localizers to a folder of their own"
            )
        if header.plane.position is None or header.plane.directions is None:
            raise InvalidArgument(
                f"series: got no position or orientation in {header.path.name} of {folder}, expected both in every "
                "slice; name single files instead"
            )
        for what, one, other in (
            ("frames of reference", first.frame_of_reference, header.frame_of_reference),
            ("photometric interpretations", *map(_becomes, (first.photometric, header.photometric))),
            ("echoes", first.echo or header.echo, header.echo or first.echo),
            ("time points", first.phase or header.phase, header.phase or first.phase),
        ):
            if one != other:
                raise InvalidArgument(
                    f"series: got two {what} in {folder} ({first.path.name}: {one or 'none'}, {header.path.name}: "
                    f"{other or 'none'}), expected one; separate them into folders"
                )


def _becomes(photometric: str) -> str:
    return "RGB" if photometric.startswith(("YBR", "PALETTE")) else photometric


@dataclass(frozen=True)
class _Slices:
    """Files in the order of their places, decoded. `kinds`: what each says of its pixels, without these."""

    files: tuple[Path, ...]
    stack: Stack
    values: NDArray[np.generic]
    kinds: list[DicomPixels]
    notes: list[str]


def _stacked(headers: list[SliceHeader], folder: Path) -> tuple[list[SliceHeader], Stack]:
    stack = stack_planes([h.plane for h in headers], [h.path.name for h in headers], str(folder))
    return [headers[k] for k in stack.order], stack


class _Values:
    """The volume, filled slice by slice, so that no slice is there twice."""

    def __init__(self, most: int) -> None:
        self._most = most  # slices there may be
        self._stack: NDArray[np.generic] | None = None
        self.count = 0
        self.bytes = 0  # of the slices as they came

    def add(self, part: NDArray[np.generic], path: Path) -> None:
        if self._stack is None:
            self._stack = np.empty((self._most, *part.shape), part.dtype)
        if part.shape != self._stack.shape[1:]:
            raise InvalidArgument(
                f"series: got pixels of shape {part.shape} in {path}, expected {self._stack.shape[1:]} as in the other "
                "slices; restore the file"
            )
        # Slices may come out as int16 and uint16 by their values; together they are int32, and narrowed again.
        self._stack = self._stack.astype(np.promote_types(self._stack.dtype, part.dtype), copy=False)
        self._stack[self.count] = part
        self.count += 1
        self.bytes += part.nbytes

    def whole(self, folder: Path) -> NDArray[np.generic]:
        assert self._stack is not None
        return engine_values(self._stack[: self.count], folder)


def _decoded(
    chosen: list[SliceHeader], folder: Path, missing: list[Unreadable], skip: bool, limit: ByteLimit
) -> _Slices:
    """The volume; slices whose pixels are damaged are added to `missing` and left out if `skip`."""
    ordered, stack = _stacked(chosen, folder)
    values = _Values(len(ordered))
    left: list[SliceHeader] = []
    kinds: list[DicomPixels] = []
    notes: Counter[str] = Counter()
    for header, along in zip(ordered, stack.along, strict=True):
        try:
            pixels = _pixels(header.path, limit, ByteLimit(max(0, limit.max_bytes - values.bytes)))
        except InvalidArgument as error:
            if not skip:
                raise
            missing.append(Unreadable(header.path, f"{error}; its place is {along:.2f} mm along the normal"))
            continue
        kinds.append(replace(pixels, values=np.empty(0, pixels.values.dtype)))
        left.append(header)
        notes.update(pixels.notes)
        _check_one_kind(left[0].path, kinds[0], header.path, pixels, folder)
        values.add(pixels.values, header.path)
    if not left:
        raise InvalidArgument(f"series: got no slice that can be read in {folder} ({list_of(missing)}); restore them")
    if len(left) < len(ordered):
        placed, stack = _stacked(left, folder)
        assert [header.path for header in placed] == [header.path for header in left]  # ordered by place already
    said = [f"{note} ({count} slices)" for note, count in notes.items()]
    return _Slices(tuple(header.path for header in left), stack, values.whole(folder), kinds, said)


def _check_one_kind(first: Path, kind: DicomPixels, path: Path, pixels: DicomPixels, folder: Path) -> None:
    if pixels.color != kind.color:
        raise InvalidArgument(f"series: got gray and color slices in {folder}, expected one kind; separate them")
    if pixels.units != kind.units:
        raise InvalidArgument(
            f"series: got slices in different units in {folder} ({first.name}: {kind.units}, {path.name}: "
            f"{pixels.units}), expected one RescaleIntercept and RescaleType; restore the tags of all slices"
        )


def _place_by_name(name: str, slices: _Slices) -> str:
    """Between which slices a file without a header belongs, as far as names tell."""
    places = sorted((file.name, along) for file, along in zip(slices.files, slices.stack.along, strict=True))
    before = [place for place in places if place[0] < name]
    after = [place for place in places if place[0] > name]
    words = [f"after {before[-1][0]} ({before[-1][1]:.2f} mm)"] if before else []
    words += [f"before {after[0][0]} ({after[0][1]:.2f} mm)"] if after else []
    return "its place by name: " + " and ".join(words)


def _refuse(missing: list[Unreadable], folder: Path) -> None:
    one = len(missing) == 1
    raise InvalidArgument(
        f"series: got {len(missing)} {'entry' if one else 'entries'} of {folder} that "
        f"{'looks like a slice and' if one else 'look like slices and'} cannot be read ({list_of(missing)}), expected "
        "every slice; restore or remove what is named, or leave it out with --skip-unreadable (skip_unreadable=True)"
    )


def read_dicom_series(
    folder: Path, series: str | None, limit: ByteLimit, skip_unreadable: bool = False
) -> MedicalImage:
    """A folder of single-frame files of one series, sorted by position: (D, H, W), with a last axis of 3 for color.

    Entries that look like slices of the series (by name, by content, or as links) and cannot be read are refused by
    name. With `skip_unreadable` they are left out, with a note that says at which position; slices in the middle are
    then still refused, because of the gap that they leave. Copies of a slice are left out with a note.

    Raises:
        InvalidArgument: no or several series, a missing, unreadable or doubled slice, a tilted gantry.
        Unsupported: no decoder for the compression, or a package of a full installation is missing.
    """
    content = scan(folder, limit)
    chosen = _chosen_series(content.headers, series, folder) if content.headers else []
    others = [header for header in content.headers if header.series != chosen[0].series] if chosen else []
    missing = [entry for entry in content.unreadable if may_be_slice(entry, chosen, others)]
    if missing and not skip_unreadable:
        _refuse(missing, folder)
    if not chosen:
        raise InvalidArgument(
            f"image: got no DICOM image in {folder}, expected the files of a series; name their folder"
        )
    left_out = content.others + Counter(entry.reason for entry in content.unreadable if entry not in missing)
    notes = [f"{count} files left out: {kind}" for kind, count in sorted(left_out.items())]
    chosen, copies = _without_copies(chosen, limit)
    notes += copies
    if len(chosen) == 1 and chosen[0].frames > 1:
        return read_dicom_file(chosen[0].path, limit)
    _check_alike(chosen, folder)
    headless = len(missing)
    slices = _decoded(chosen, folder, missing, skip_unreadable, limit)
    notes += [
        f"missing from the volume: {entry.path.name} ({entry.reason}"
        + (f"; {_place_by_name(entry.path.name, slices)})" if k < headless else ")")
        for k, entry in enumerate(missing)
    ]
    notes += [*([chosen[0].plane.note] if chosen[0].plane.note else []), *slices.notes]
    padding = tuple(part.padding[0] if part.padding else None for part in slices.kinds)
    hounsfield = is_hounsfield(chosen[0].modality, slices.kinds, notes)
    return MedicalImage(
        array=slices.values,
        spacing=slices.stack.spacing,
        origin=slices.stack.origin,
        direction=slices.stack.direction,
        modality=chosen[0].modality,
        path=folder,
        color=slices.kinds[0].color,
        spaced=chosen[0].plane.spaced,
        source=DicomSource(slices.files),
        padding=padding if any(padding) else (),
        hounsfield=hounsfield,
        notes=tuple(notes),
    )
