# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""JPEG lossless frames (ITU-T T.81, process 14) of DICOM files, decoded by libjpeg-turbo.

gdcm prints of a damaged frame, and may end the process. libjpeg-turbo does neither, but it fills up what is missing,
and its warnings do not reach Python; so the pixels are compared with the frame's data (lossless_jpeg.py).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.lossless_jpeg import NotLosslessError, holds
from medsam_engine.io.extras import require

JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")


def native(dataset: Any, path: Path) -> Any:
    """A dataset with the same header whose pixels are not compressed; other datasets than JPEG lossless as they are.

    Raises:
        InvalidArgument: a damaged frame, or one of another process.
        Unsupported: imagecodecs is not installed.
    """
    if str(dataset.file_meta.TransferSyntaxUID) not in JPEG_LOSSLESS or "PixelData" not in dataset:
        return dataset
    pydicom = require("pydicom", f"reading {path}")
    encaps = require("pydicom.encaps", f"reading {path}")
    frames = int(dataset.get("NumberOfFrames") or 1)
    content = b"".join(
        _decoded(frame, int(dataset.SamplesPerPixel), path).tobytes()
        for frame in encaps.generate_frames(dataset.PixelData, number_of_frames=frames)
    )
    made = pydicom.Dataset()
    made.update(dataset)
    made.file_meta = pydicom.dataset.FileMetaDataset(dataset.file_meta)
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.add_new(0x7FE00010, "OW", content + bytes(len(content) % 2))
    if int(dataset.SamplesPerPixel) > 1 and dataset.get("PlanarConfiguration") == 1:  # codecs give pixel by pixel
        made.PlanarConfiguration = 0
    return made


def _decoded(frame: bytes, samples: int, path: Path) -> NDArray[np.integer]:
    """The samples of a frame, as whole little-endian integers of one or two bytes, (rows, columns[, samples])."""
    decode = require("imagecodecs", f"reading {path}").jpeg8_decode
    # Three components stay what they are; pydicom makes RGB of them where the header says YBR.
    colors = {"colorspace": "RGB", "outcolorspace": "RGB"} if samples == 3 else {}
    try:
        values = np.asarray(decode(frame, **colors))
        whole = holds(frame, values)
    except NotLosslessError as error:
        raise InvalidArgument(
            f"image: got a compressed frame in {path} that is not JPEG lossless, expected ITU-T T.81 process 14 as its "
            "transfer syntax says; correct it, or convert the file"
        ) from error
    except Exception as error:  # imagecodecs has an error of its own for each codec
        raise InvalidArgument(
            f"image: got a damaged JPEG lossless frame in {path}, expected a whole one; {' '.join(str(error).split())}"
        ) from error
    if not whole:
        raise InvalidArgument(
            f"image: got a damaged JPEG lossless frame in {path}, expected one whose pixels give its data again; fetch "
            "the file again"
        )
    return values.astype(values.dtype.newbyteorder("<"), copy=False)
