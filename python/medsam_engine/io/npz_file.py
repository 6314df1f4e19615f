# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NPZ files as the MedSAM-on-laptop challenge has them: `imgs`, 3D also `spacing`; masks under `segs` or `gts`."""

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage, engine_values

# The second word of the challenge's file names, in DICOM's words.
_MODALITIES = {
    "CT": "CT", "MR": "MR", "PET": "PT", "US": "US", "X-Ray": "DX", "XRay": "DX", "Mammography": "MG", "Mammo": "MG",
    "OCT": "OPT", "Fundus": "OP", "Endoscopy": "ES", "Dermoscopy": "XC", "Microscopy": "SM", "Microscope": "SM",
}  # fmt: skip


def challenge_modality(name: str) -> str:
    """The modality as the challenge's name spells it ("3DBox_MR_brain_1.npz" -> "MR"); "" for other names."""
    words = name.split("_")
    return words[1] if len(words) > 2 and words[0] in ("2DBox", "3DBox", "2D", "3D") else ""


_LARGEST = 8 << 30  # bytes of an array, as the engine's own reader (docs/folders.md)
_LARGEST_RATIO = 1032  # of deflate: 258 bytes for two bits


def _check_claim(archive: zipfile.ZipFile | None, key: str, path: Path) -> None:
    """NumPy asks for all the memory that a header claims before it looks whether there is data."""
    if archive is None:
        raise ValueError("its archive is closed")
    entry = next(info for info in archive.infolist() if info.filename in (f"{key}.npy", key))
    with archive.open(entry) as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        start = content.tell()
    claimed = start + math.prod(shape) * dtype.itemsize
    possible = min(_LARGEST, entry.file_size, (entry.compress_size + 1) * _LARGEST_RATIO)
    if claimed > possible and not dtype.hasobject:
        raise InvalidArgument(
            f"image: got {key} of shape {shape} in {path}, expected its {claimed} bytes, of which there are at most "
            f"{possible}; the file is cut off"
        )


def load_arrays(path: Path, required: str, optional: tuple[str, ...] = ()) -> dict[str, NDArray[np.generic]]:
    """The named arrays of an NPZ file; nothing is ever unpickled.

    Raises:
        InvalidArgument: no NPZ file, cut off or damaged, without `required`, or with an array of objects.
    """
    try:
        # Opened here, because numpy.load leaves a damaged archive open.
        with path.open("rb") as content:
            file = np.load(content, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InvalidArgument(
                    f"image: got a single array in {path}, expected an .npz file; save it with numpy.savez"
                )
            if required not in file.files:
                raise InvalidArgument(
                    f"image: got keys {', '.join(file.files) or 'none'} in {path}, expected {required}; "
                    "it is the challenge's key"
                )
            keys = [key for key in (required, *optional) if key in file.files]
            for key in keys:
                _check_claim(file.zip, key, path)
            return {key: file[key] for key in keys}
    except InvalidArgument:
        raise
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())
        if "pickle" in reason:
            reason = "it holds an array of Python objects, which is never loaded"
        raise InvalidArgument(f"image: got {path}, expected a whole .npz file; {reason}") from error


def read_npz(path: Path) -> MedicalImage:
    """Reads `imgs`: a volume (D, H, W) or an image (H, W) or (H, W, 3).

    Three axes of which the last is 3 are a colour image, unless the name begins with 3D or the file has a `spacing`.

    Raises:
        InvalidArgument: a damaged file, wrong keys or shapes, NaN.
    """
    arrays = load_arrays(path, "imgs", ("spacing",))
    values = arrays["imgs"]
    flat = path.name.startswith("2D") or not (path.name.startswith("3D") or "spacing" in arrays)
    colour = values.ndim == 4 or (values.ndim == 3 and values.shape[-1] == 3 and flat)
    if values.ndim not in (2, 3, 4) or 0 in values.shape or (colour and values.shape[-1] != 3):
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
        colour=colour,
        spaced="spacing" in arrays,
        positioned=False,
    )


def npz_bytes(labels: NDArray[np.generic]) -> bytes:
    """A compressed NPZ with the single key `segs`, as the challenge wants it."""
    content = io.BytesIO()
    np.savez_compressed(content, segs=labels)
    return content.getvalue()
