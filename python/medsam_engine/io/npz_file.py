# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NPZ files as the MedSAM-on-laptop challenge has them: `imgs`, 3D also `spacing`; masks under `segs` or `gts`."""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.engine_values import engine_values
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.medical_image import MedicalImage

# The second word of the challenge's file names, in DICOM's words.
_MODALITIES = {
    "CT": "CT", "MR": "MR", "PET": "PT", "US": "US", "X-Ray": "DX", "XRay": "DX", "Mammography": "MG", "Mammo": "MG",
    "OCT": "OPT", "Fundus": "OP", "Endoscopy": "ES", "Dermoscopy": "XC", "Microscopy": "SM", "Microscope": "SM",
}  # fmt: skip


def challenge_modality(name: str) -> str:
    """The modality as the challenge's name spells it ("3DBox_MR_brain_1.npz" -> "MR"); "" for other names."""
    words = name.split("_")
    return words[1] if len(words) > 2 and words[0] in ("2DBox", "3DBox", "2D", "3D") else ""


_LARGEST_RATIO = 1032  # of deflate: 258 bytes for two bits
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The arrays' entries by key. Readers disagree which of two entries of one name counts, so there must be one."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        key = entry.filename.removesuffix(".npy")
        if key in entries:
            raise InvalidArgument(f"image: got {key} twice in {path}, expected it once; save the file again")
        entries[key] = entry
    return entries


def _load(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, key: str, path: Path, left: ByteLimit) -> NDArray[Any]:
    """One array; NumPy asks for all the memory that a header claims before it looks whether there is data."""
    if entry.compress_type not in _METHODS:
        raise InvalidArgument(
            f"image: got {key} compressed by method {entry.compress_type} in {path}, expected stored or deflated; "
            "write it with numpy.savez_compressed"
        )
    with archive.open(entry) as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        start = content.tell()
    if dtype.hasobject:
        raise InvalidArgument(
            f"image: got {key} in {path}, expected numbers; it holds an array of Python objects, which is never loaded"
        )
    size = math.prod(shape) * dtype.itemsize
    possible = min(entry.file_size, (entry.compress_size + 1) * _LARGEST_RATIO)
    if start + size > possible:
        raise InvalidArgument(
            f"image: got {key} of shape {shape} in {path}, expected its {start + size} bytes, of which there are at "
            f"most {possible}; the file is cut off"
        )
    left.check(size, f"{key} of shape {shape}", path)
    with archive.open(entry) as content:
        return np.asarray(np.lib.format.read_array(content, allow_pickle=False))


def load_arrays(
    path: Path, required: str | tuple[str, ...], optional: tuple[str, ...] = (), limit: ByteLimit | None = None
) -> dict[str, NDArray[np.generic]]:
    """The named arrays of an NPZ file; nothing is ever unpickled.

    Args:
        path: the file.
        required: a key that must be there, or several, of which the first one there is taken.
        optional: keys that may be there.
        limit: of the arrays' bytes together; None = the default one.

    Raises:
        InvalidArgument: no NPZ file, cut off or damaged, without `required`, with an array of objects, or larger than
            the limit.
    """
    limit = ByteLimit.of(None) if limit is None else limit
    try:
        with open_input(path) as content:
            limit.check_file(size_of(content), path)
            if content.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise InvalidArgument(
                    f"image: got a single array in {path}, expected an .npz file; save it with numpy.savez"
                )
            with zipfile.ZipFile(content) as archive:
                entries = _entries(archive, path)
                wanted = (required,) if isinstance(required, str) else required
                found = next((key for key in wanted if key in entries), None)
                if found is None:
                    raise InvalidArgument(
                        f"image: got keys {', '.join(entries) or 'none'} in {path}, expected {' or '.join(wanted)}; "
                        "it is the challenge's key"
                    )
                arrays: dict[str, NDArray[np.generic]] = {}
                for key in (found, *(name for name in optional if name in entries)):
                    left = ByteLimit(max(0, limit.max_bytes - sum(values.nbytes for values in arrays.values())))
                    arrays[key] = _load(archive, entries[key], key, path, left)
                return arrays
    except InvalidArgument:
        raise
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        raise InvalidArgument(f"image: got {path}, expected a whole .npz file; {one_line(error)}") from error


def read_npz(path: Path, limit: ByteLimit) -> MedicalImage:
    """Reads `imgs`: a volume (D, H, W) or an image (H, W) or (H, W, 3).

    Three axes of which the last is 3 are a color image, unless the name begins with 3D or the file has a `spacing`.

    Raises:
        InvalidArgument: a damaged file, wrong keys or shapes, NaN, more than the limit.
    """
    arrays = load_arrays(path, "imgs", ("spacing",), limit)
    values = arrays["imgs"]
    flat = path.name.startswith("2D") or not (path.name.startswith("3D") or "spacing" in arrays)
    color = values.ndim == 4 or (values.ndim == 3 and values.shape[-1] == 3 and flat)
    if values.ndim not in (2, 3, 4) or 0 in values.shape or (color and values.shape[-1] != 3):
        raise InvalidArgument(
            f"image: got imgs of shape {values.shape} in {path}, expected (D, H, W), (H, W) or (H, W, 3); "
            "correct the file"
        )
    spacing = (1.0, 1.0, 1.0)
    if "spacing" in arrays:
        given = np.asarray(arrays["spacing"], dtype=np.float64).ravel()
        if given.shape != (3,):
            raise InvalidArgument(
                f"spacing: got {given.size} numbers in {path}, expected 3 (x, y, z); correct the file"
            )
        spacing = (float(given[0]), float(given[1]), float(given[2]))
    return MedicalImage(
        array=engine_values(values, path),
        spacing=spacing,
        origin=(0.0, 0.0, 0.0),
        direction=np.eye(3),
        modality=_MODALITIES.get(challenge_modality(path.name), ""),
        path=path,
        color=color,
        spaced="spacing" in arrays,
        positioned=False,
    )


def npz_bytes(labels: NDArray[np.generic]) -> bytes:
    """A compressed NPZ with the single key `segs`, as the challenge wants it."""
    content = io.BytesIO()
    np.savez_compressed(content, segs=labels)
    return content.getvalue()
