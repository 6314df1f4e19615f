# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Fuzzes a Python reader with atheris: ``fuzz_readers.py FORMAT CORPUS [libFuzzer's flags]``.

scripts/run/fuzz.sh runs it. Any bytes under a name of the format give an array within max_bytes, or one of the
library's errors in one printable line; nothing outside the file's folder is opened, and nothing of a file beside the
folder is ever in an array.
"""

from __future__ import annotations

import gzip
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["medsam_engine.io", "pydicom"]):
    # The reader imports it at its first file: too late to be instrumented, and slow enough to look like a hang.
    import numpy as np
    import pydicom.encaps
    import pydicom.pixels  # noqa: F401

    from medsam_engine import io
    from medsam_engine.errors import Error
    from medsam_engine.io.extras import require
    from medsam_engine.io.nifti import header as nifti_header

MAX_BYTES = 1 << 20
WIDEST = 8  # bytes that a reader may make of one: int8 with a rescale rule becomes float32, with room
MEMORY = 4 << 30  # of the address space
CANARY = b"canary: no reader may get here! "
SUFFIXES = {"nrrd": (".nrrd", ".nhdr"), "metaimage": (".mha", ".mhd"), "nifti": (".nii", ".nii.gz"), "dicom": (".dcm",)}
VOXELS = (np.arange(60) * 3).astype(np.int16).reshape(3, 4, 5)


def nifti_seeds() -> list[bytes]:
    """A volume in each version of the format, and a compressed one."""
    seeds = []
    for version, size in ((1, 348), (2, 540)):
        header = np.zeros((), nifti_header.DTYPES[version])
        header["sizeof_hdr"], header["magic"], header["datatype"] = size, f"n+{version}".encode(), 4
        header["dim"], header["pixdim"], header["vox_offset"] = [3, 5, 4, 3, 1, 1, 1, 1], 1, size + 4
        header["sform_code"], header["srow"] = 1, np.eye(4)[:3]
        seeds.append(header.tobytes() + bytes(4) + VOXELS.tobytes())
    return [*seeds, gzip.compress(seeds[0])]


def itk_seeds(suffix: str) -> list[bytes]:
    """An image that ITK wrote, plain and compressed, and a header of its own."""
    sitk = require("SimpleITK", "seeds")
    seeds = []
    with tempfile.TemporaryDirectory() as folder:
        image = sitk.GetImageFromArray(VOXELS)
        for packed in (False, True):
            sitk.WriteImage(image, f"{folder}/a{suffix}", packed)
            seeds.append(Path(folder, f"a{suffix}").read_bytes())
    nrrd = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nendian: little\nencoding: raw\ndata file: beside.raw\n"
    meta = b"NDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = beside.raw\n"
    return [*seeds, nrrd if suffix == ".nrrd" else meta]


def dicom_seeds() -> list[bytes]:
    """Small files that come with pydicom: plain, RLE, JPEG, a palette, several frames."""
    data = require("pydicom.data", "seeds")
    names = ("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm", "image_dfl.dcm")
    paths = [data.get_testdata_file(name, download=False) for name in names]
    return [content for path in paths if path and len(content := Path(path).read_bytes()) < 1 << 17]


def write_seeds(kind: str, corpus: Path) -> None:
    """Fills an empty corpus."""
    corpus.mkdir(parents=True, exist_ok=True)
    if any(corpus.iterdir()):
        return
    makers: dict[str, Any] = {"nifti": nifti_seeds, "dicom": dicom_seeds}
    suffix = SUFFIXES[kind][0]
    for number, content in enumerate(makers[kind]() if kind in makers else itk_seeds(suffix)):
        (corpus / f"seed{number}").write_bytes(content)


class Folder:
    """The given folder, a file beside the data in it, and a canary outside; what is opened elsewhere is a finding."""

    def __init__(self, top: Path) -> None:
        self.given = top / "given"
        self.given.mkdir()
        (top / "canary").write_bytes(CANARY * 64)
        (self.given / "beside.raw").write_bytes(VOXELS.tobytes())
        self.watching = False
        # Modules may be imported at first use; ITK's own files and links are in temporary folders.
        self._allowed = (str(self.given), f"{tempfile.gettempdir()}/medsam-engine-", sys.prefix, sys.base_prefix)
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or event != "open" or not isinstance(arguments[0], str):
            return
        path = os.path.abspath(arguments[0])
        if not path.startswith(self._allowed) and not path.startswith("/proc/self/"):
            os.write(2, f"finding: opened {path!r}\n".encode())
            os.abort()


def expect(holds: bool, what: str) -> None:
    """An invariant; atheris takes an exception for a finding."""
    if not holds:
        raise RuntimeError(f"finding: {what}")


def check(path: Path) -> None:
    """One input."""
    try:
        image = io.read(path, max_bytes=MAX_BYTES)
    except Error as error:
        expect(str(error).isprintable(), f"an error in more than one line: {error!r}")
        return
    expect(image.array.nbytes <= WIDEST * MAX_BYTES, f"{image.array.nbytes} bytes")
    expect(CANARY[:16] not in image.array.tobytes(), "a file outside the folder was read")


def main() -> None:
    """Runs until libFuzzer's flags end it."""
    kind, corpus, *flags = sys.argv[1:]
    write_seeds(kind, Path(corpus))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    top = Path(tempfile.mkdtemp(prefix="fuzz-readers-"))
    folder = Folder(top)

    def one_input(data: bytes) -> None:
        for suffix in SUFFIXES[kind]:
            path = folder.given / f"input{suffix}"
            path.write_bytes(data)
            folder.watching = True
            try:
                check(path)
            finally:
                folder.watching = False

    for seed in sorted(Path(corpus).glob("seed*")):  # whatever else is imported at the first file
        one_input(seed.read_bytes())
    atheris.Setup([sys.argv[0], *flags, corpus], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
