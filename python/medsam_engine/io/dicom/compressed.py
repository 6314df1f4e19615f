# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Compressed DICOM frames: that they are what the header says, and which decoder takes them.

Decoders believe the codestream or the header, whichever they look at first, and give other pixels where the two differ;
gdcm, which pydicom would ask first, then ends the process. So the two are compared before, and gdcm decodes nothing.
"""

from pathlib import Path
from typing import Any

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.codestream import claimed_size
from medsam_engine.io.dicom.jpeg_lossless import JPEG_LOSSLESS
from medsam_engine.io.extras import require

_JPEG = {"1.2.840.10008.1.2.4.50": "pillow", "1.2.840.10008.1.2.4.51": "pillow"}
_JPEG_LOSSLESS = dict.fromkeys(JPEG_LOSSLESS, "")  # unpacked before pydicom decodes
_JPEG_LS = {"1.2.840.10008.1.2.4.80": "pyjpegls", "1.2.840.10008.1.2.4.81": "pyjpegls"}
_JPEG_2000 = {f"1.2.840.10008.1.2.4.{k}": "pylibjpeg" for k in (90, 91, 201, 202, 203)}
# CharLS waits for ever for the rest of a frame that is cut off.
_NEED_THEIR_END = {**_JPEG_LS, **_JPEG_LOSSLESS}
_END_OF_IMAGE = b"\xff\xd9"
_PLUGINS = {**_JPEG, **_JPEG_LOSSLESS, **_JPEG_LS, **_JPEG_2000}


def plugin_for(dataset: Any) -> str:
    """The decoder, by its name in pydicom, for a dataset's transfer syntax; "" for pydicom's own choice."""
    return _PLUGINS.get(str(dataset.file_meta.TransferSyntaxUID), "")


def check_codestreams(dataset: Any, path: Path) -> None:
    """Compares size, samples and bits of each JPEG, JPEG-LS or JPEG 2000 frame with the header.

    Raises:
        InvalidArgument: they differ, or a frame has no readable header.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in _PLUGINS or "PixelData" not in dataset:
        return
    encaps = require("pydicom.encaps", f"reading {path}")
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    samples, allocated = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated)
    frames = int(dataset.get("NumberOfFrames") or 1)
    for frame in encaps.generate_frames(dataset.PixelData, number_of_frames=frames):
        size = claimed_size(frame)
        if size is None:
            raise InvalidArgument(
                f"image: got a compressed frame without a readable header in {path}, expected "
                f"{dataset.file_meta.TransferSyntaxUID.name}; the file is damaged"
            )
        if syntax in _NEED_THEIR_END and not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
            raise InvalidArgument(
                f"image: got a compressed frame without its end in {path}, expected a whole one; the file is cut off"
            )
        # The bits that samples are unpacked to: one or two bytes of JPEG, up to four of JPEG 2000.
        unpacked = 8 * ((size.bits + 7) // 8)
        same_bits = unpacked == allocated if syntax not in _JPEG_2000 else unpacked <= allocated
        # Of colors nothing masks bits above BitsStored.
        same_bits = same_bits and (samples == 1 or size.bits <= int(dataset.BitsStored))
        if (size.width, size.height, size.components) != (columns, rows, samples) or not same_bits:
            raise InvalidArgument(
                f"image: got a compressed frame of {size.width}x{size.height} pixels of {size.components} samples of "
                f"{size.bits} bits in {path}, expected {columns}x{rows} of {samples} samples of {allocated} bits as "
                "its header says; correct the tags"
            )
