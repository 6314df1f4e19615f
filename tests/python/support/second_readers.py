# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What other readers make of a file: nibabel, SimpleITK, pydicom, tifffile and NumPy, in the engine's conventions.

Where docs/medical_files.md differs from the other reader on purpose, its rule is written out here, one by one.
"""

import struct
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Second:
    """Voxels as the engine lays them out, and the affine (4, 4), index to LPS mm; None where the file has none."""

    values: NDArray[Any]
    affine: NDArray[np.float64] | None = None
    spacing: tuple[float, ...] | None = None


def second(kind: str, path: Path) -> Second:
    """Reads with the other reader; whatever it raises is its refusal."""
    readers = {"nifti": _nifti, "itk": _itk, "dicom": _dicom, "tiff": _tiff, "npz": _npz}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return readers[kind](path)


def _nifti(path: Path) -> Second:
    import nibabel as nib

    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):  # rule: what follows the end of gzip is ignored
        content = zlib.decompressobj(31).decompress(content)
    kind = (
        nib.Nifti2Image
        if 540 in (int.from_bytes(content[:4], order) for order in ("little", "big"))
        else nib.Nifti1Image
    )
    image: Any = kind.from_bytes(_known_codes(content))
    header: Any = image.header
    data = np.asarray(image.dataobj)
    if data.dtype.names:
        data = np.stack([data[name] for name in data.dtype.names], axis=-1)
        values = np.transpose(_three_axes(data, 4), (2, 1, 0, 3))
    else:
        values = _three_axes(data, 3).T
    scale = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    codes = int(header["qform_code"]), int(header["sform_code"])
    if max(codes) <= 0:
        return Second(values, None, tuple(_pixdim(header) * scale))
    affine = np.array(image.affine, np.float64)
    if codes[1] > 0 and codes[0] > 0 and _uses_qform(header):
        affine = np.asarray(header.get_qform())
    if codes[1] > 0 and header["dim"][3] in (0, 1) and not affine[:3, 2].any():
        normal = np.cross(affine[:3, 0], affine[:3, 1])  # a slice without thickness gets 1 mm
        affine[:3, 2] = normal / np.linalg.norm(normal)
    affine[:3] *= scale
    return Second(values, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def _known_codes(content: bytes) -> bytes:
    """Rule: as in nifti1.h any code above 0 means that the form is there; nibabel takes those it cannot name for 0."""
    made = bytearray(content)
    for order in ("<", ">"):
        for size, form, places in ((348, "h", (252, 254)), (540, "i", (344, 348))):
            if len(made) >= size and struct.unpack_from(order + "i", made)[0] == size:
                for place in places:
                    if struct.unpack_from(order + form, made, place)[0] > 5:
                        struct.pack_into(order + form, made, place, 1)
    return bytes(made)


def _uses_qform(header: Any) -> bool:
    """Rule: an sform of zeros, or up to 1 degree off right angles, gives way to a sound qform."""
    rows = np.array([header["srow_x"], header["srow_y"], header["srow_z"]], np.float64)
    quaternion = np.square([float(header[f"quatern_{k}"]) for k in "bcd"]).sum()
    if not quaternion < 1.001 or not (header["pixdim"][1:4] > 0).all():
        return False
    if not rows.any():
        return True
    lengths = np.linalg.norm(rows[:, :3], axis=0)
    if not np.isfinite(rows).all() or lengths.min() <= 0:
        return False
    axes = rows[:, :3] / lengths
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    return bool(1e-3 < shear <= np.sin(np.radians(1.0)))


def _pixdim(header: Any) -> NDArray[np.float64]:
    """Rule: without a form a negative pixdim counts as positive, and 0 along an axis of one voxel as 1."""
    pixdim = np.abs(np.array(header["pixdim"][1:4], np.float64))
    single = [k > header["dim"][0] or header["dim"][k] == 1 for k in (1, 2, 3)]
    return np.where((pixdim == 0) & single, 1.0, pixdim)


def _three_axes(data: NDArray[Any], axes: int) -> NDArray[Any]:
    """Volumes of one: (x, y, z), with ones for axes that are not there."""
    extra = data.shape[3 : data.ndim - (axes - 3)]
    if any(n != 1 for n in extra):
        raise ValueError("several volumes")
    shape = [*data.shape[: min(3, data.ndim - (axes - 3))]]
    return data.reshape([*shape, *[1] * (3 - len(shape)), *data.shape[data.ndim - (axes - 3) :]])


def _with_compressed_size(content: bytes) -> bytes:
    """Rule: compressed data ends with the file; without a right CompressedDataSize ITK gives memory never written."""
    end = b"ElementDataFile = LOCAL\n"
    head, found, data = content.partition(end)
    if not found or b"CompressedData = True" not in head:
        return content
    lines = [line for line in head.splitlines(keepends=True) if not line.startswith(b"CompressedDataSize")]
    return b"".join([*lines, b"CompressedDataSize = %d\n" % len(data), end, data])


def _itk(path: Path) -> Second:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    meta = path.suffix in (".mha", ".mhd")
    with tempfile.TemporaryDirectory() as folder:
        if meta:
            stated = Path(folder) / path.name
            stated.write_bytes(_with_compressed_size(path.read_bytes()))
            path = stated
        image = SimpleITK.ReadImage(str(path), imageIO="MetaImageIO" if meta else "NrrdImageIO")
    values, axes = SimpleITK.GetArrayFromImage(image), image.GetDimension()
    if axes > 3:
        values = values[0]
    kept = min(axes, 3)
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (axes, axes))[:kept, :kept]
    affine[:kept, :kept] = direction * np.asarray(image.GetSpacing()[:kept])
    affine[:kept, 3] = image.GetOrigin()[:kept]
    return Second(values, affine)


def _dicom(path: Path) -> Second:
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    if path.is_dir():
        return _series([_dicom_file(dcmread(file)) for file in sorted(path.iterdir())])
    return _dicom_file(dcmread(path), pixel_array)


def _series(parts: list[Second]) -> Second:
    normal = np.cross(_affine(parts[0])[:3, 0], _affine(parts[0])[:3, 1])
    parts = sorted(parts, key=lambda part: float(_affine(part)[:3, 3] @ normal))
    affine = _affine(parts[0]).copy()
    affine[:3, 2] = (_affine(parts[-1])[:3, 3] - affine[:3, 3]) / (len(parts) - 1)
    return Second(np.stack([part.values for part in parts]), affine)


def _affine(part: Second) -> NDArray[np.float64]:
    assert part.affine is not None
    return part.affine


def _dicom_file(dataset: Any, decode: Any = None) -> Second:
    from pydicom.pixels import pixel_array
    from pydicom.uid import JPEGBaseline8Bit

    gray = int(dataset.get("SamplesPerPixel") or 1) == 1
    options: dict[str, Any] = {"correct_unused_bits": False} if gray else {}
    if dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        options["decoding_plugin"] = "pillow"  # gdcm, pydicom's first choice, ends the process on damaged frames
    pixels = (decode or pixel_array)(dataset, raw=False, **options)
    values = _units(pixels, dataset) if gray else pixels
    frames = int(dataset.get("NumberOfFrames") or 1)
    return Second(values, _frame_affine(dataset, frames), _spacing(dataset))


def _units(pixels: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """Rules: bits above BitsStored are left out, but for padding; MONOCHROME1 is inverted unless in HU."""
    stored, high = int(dataset.get("BitsStored") or dataset.BitsAllocated), dataset.get("HighBit")
    wide = pixels.astype(np.float64)
    if pixels.dtype.kind in "iu":
        shift = 0 if high in (None, "") else int(high) + 1 - stored
        whole = (pixels.astype(np.int64) >> shift) & ((1 << stored) - 1)
        if pixels.dtype.kind == "i":
            whole = np.where(whole >= 1 << (stored - 1), whole - (1 << stored), whole)
        wide = whole.astype(np.float64)
        padding = dataset.get("PixelPaddingValue")
        if padding is not None and padding != "":
            raw, limit = pixels.astype(np.int64), dataset.get("PixelPaddingRangeLimit")
            ends = [int(end) % (1 << 16) for end in (padding, padding if limit in (None, "") else limit)]
            unsigned = raw % (1 << 16)
            wide = np.where((unsigned >= min(ends)) & (unsigned <= max(ends)), raw, wide)
    slope, intercept = (dataset.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = (
        1.0 if slope in (None, "") else float(slope),
        0.0 if intercept in (None, "") else float(intercept),
    )
    wide = wide * slope + intercept
    hounsfield = dataset.get("RescaleIntercept") not in (None, "") and dataset.get("RescaleType") in (None, "", "HU")
    if dataset.PhotometricInterpretation == "MONOCHROME1" and not (hounsfield and dataset.get("Modality") == "CT"):
        signed = bool(dataset.get("PixelRepresentation"))
        total = (-1 if signed else (1 << stored) - 1) * slope + 2 * intercept
        wide = total - wide
    return wide


def _spacing(dataset: Any) -> tuple[float, ...] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if dataset.get(name):
            return tuple(float(part) for part in dataset[name].value)[::-1]
    return None


def _frame_affine(dataset: Any, frames: int) -> NDArray[np.float64] | None:
    if frames > 1 and "PerFrameFunctionalGroupsSequence" in dataset:
        return _enhanced_affine(dataset)
    position, cosines = dataset.get("ImagePositionPatient"), dataset.get("ImageOrientationPatient")
    if frames > 1 or not position or not cosines:
        return None
    row, column = np.reshape([float(part) for part in cosines], (2, 3))
    spacing = _spacing(dataset) or (1.0, 1.0)
    between = dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")
    thickness = float(between) if between not in (None, "") and float(between) > 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * spacing[0], column * spacing[1], np.cross(row, column) * thickness])
    affine[:3, 3] = [float(part) for part in position]
    return affine


def _enhanced_affine(dataset: Any) -> NDArray[np.float64] | None:
    """Of an object whose shared group has orientation and spacing, and each frame its position; else None."""
    try:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        measures = shared.PixelMeasuresSequence[0] if "PixelMeasuresSequence" in shared else {}
        spacing = measures.get("PixelSpacing") or (1.0, 1.0)  # rule: unknown is 1, with a note
        places = [
            [float(part) for part in group.PlanePositionSequence[0].ImagePositionPatient]
            for group in dataset.PerFrameFunctionalGroupsSequence
        ]
    except (AttributeError, IndexError):
        return None
    row, column = np.reshape([float(part) for part in cosines], (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * float(spacing[1]), column * float(spacing[0])
    affine[:3, 2] = (np.array(places[-1]) - places[0]) / (len(places) - 1)
    affine[:3, 3] = places[0]
    return affine


def _tiff(path: Path) -> Second:
    import tifffile

    with tifffile.TiffFile(path, _multifile=False) as file:
        page: Any = file.pages[0]
        values, bits = page.asarray(), int(page.bitspersample)
        photometric, samples = int(page.photometric), int(page.samplesperpixel)
        values = values.reshape(
            (samples, page.imagelength, page.imagewidth) if int(page.planarconfig) == 2 and samples > 1
            else (page.imagelength, page.imagewidth, samples)
        )  # fmt: skip
        if int(page.planarconfig) == 2 and samples > 1:
            values = np.moveaxis(values, 0, -1)
        if photometric == 3:  # rule: a palette is replaced by its colors, of which the high byte is kept
            table = np.asarray(page.colormap).T
            return Second((table >> 8).astype(np.uint8)[values[..., 0]])
        if samples in (2, 4):
            values = values[..., :-1]  # rule: opaque alpha, or one without a meaning, is dropped
        if photometric == 0 and values.dtype.kind in "ub":  # rule: MinIsWhite is inverted
            values = ((1 << bits) - 1) - values.astype(np.int64)
        if bits < 8 and page.dtype.kind in "ub":  # rule: up to 7 bits are stretched
            values = np.rint(values.astype(np.float64) * 255 / ((1 << bits) - 1))
    return Second(values[..., 0] if values.shape[-1] == 1 else values)


def _npz(path: Path) -> Second:
    with np.load(path, allow_pickle=False) as file:
        spacing = tuple(float(part) for part in file["spacing"].ravel()) if "spacing" in file else None
        return Second(file["imgs"], None, spacing)
