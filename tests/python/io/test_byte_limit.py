# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One limit of decoded bytes for every reader, checked before memory is asked for."""

import gzip
import io as streams
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medsam_engine import FolderRun, InvalidArgument, io, load_embedding
from medsam_engine._core import default_max_bytes
from medsam_engine.io.dicom.codestream import FrameSize, claimed_size
from medsam_engine.io.nifti.header import DTYPES
from medsam_engine.measure.metrics import score_case

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
from dicom_builder import slice_dataset, write_series

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

FLAT = (np.arange(64 * 48) % 251).astype(np.uint8).reshape(48, 64)
CUBE = (np.arange(8 * 16 * 24) % 251).astype(np.int16).reshape(8, 16, 24)


def _nifti(path: Path) -> None:
    header = np.zeros((), DTYPES[1])
    header["sizeof_hdr"], header["magic"], header["datatype"], header["vox_offset"] = 348, b"n+1", 4, 352
    header["dim"], header["pixdim"], header["bitpix"] = [4, 24, 16, 8, 3, 1, 1, 1], 1, 16
    content = header.tobytes() + bytes(4) + np.stack([CUBE] * 3).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _dicom(path: Path, syntax: Any) -> None:
    dataset = slice_dataset(FLAT)
    if syntax == pydicom.uid.RLELossless:
        dataset.compress(syntax)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)


def _rgb16(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(48 * (1 + 64 * 6)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def _series(path: Path) -> None:
    write_series(path, CUBE.astype(np.int16), np.array([[0.0, 0.0, 2.0 * k] for k in range(8)]))


FILES: dict[str, tuple[Callable[[Path], object], int]] = {
    "a.nii": (_nifti, CUBE.nbytes),
    "a.nii.gz": (_nifti, CUBE.nbytes),
    "a.nrrd": (lambda p: sitk.WriteImage(sitk.GetImageFromArray(CUBE), str(p), True), CUBE.nbytes),
    "a.mha": (lambda p: sitk.WriteImage(sitk.GetImageFromArray(CUBE), str(p), True), CUBE.nbytes),
    "a.npz": (lambda p: np.savez_compressed(p, imgs=CUBE), CUBE.nbytes),
    "a.png": (lambda p: Image.fromarray(FLAT).save(p), FLAT.nbytes),
    "b.png": (_rgb16, 48 * 64 * 6),
    "a.jpg": (lambda p: Image.fromarray(FLAT).save(p), FLAT.nbytes),
    "a.tif": (lambda p: Image.fromarray(FLAT).save(p, compression="tiff_lzw"), FLAT.nbytes),
    "a.dcm": (lambda p: _dicom(p, pydicom.uid.ExplicitVRLittleEndian), FLAT.nbytes),
    "rle.dcm": (lambda p: _dicom(p, pydicom.uid.RLELossless), FLAT.nbytes),
    "series": (_series, CUBE.nbytes),
}


@pytest.mark.parametrize("name", FILES)
def test_every_reader_obeys_the_limit(tmp_path: Path, name: str) -> None:
    make, size = FILES[name]
    make(tmp_path / name)
    volume = 1 if name.startswith("a.nii") else None
    io.read(tmp_path / name, volume=volume, max_bytes=size)
    with pytest.raises(InvalidArgument, match=r"expected at most [0-9]+; raise the limit with --max-bytes") as caught:
        io.read(tmp_path / name, volume=volume, max_bytes=size - 1)
    assert "\n" not in str(caught.value)


def test_label_maps_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", segs=FLAT)
    Image.fromarray(FLAT).save(tmp_path / "a.png")
    for name in ("a.npz", "a.png"):
        io.read_labels(tmp_path / name, max_bytes=FLAT.nbytes)
        with pytest.raises(InvalidArgument, match="expected at most"):
            io.read_labels(tmp_path / name, max_bytes=FLAT.nbytes - 1)


def test_a_deflated_dataset_is_bounded_as_a_whole(tmp_path: Path) -> None:
    _dicom(tmp_path / "a.dcm", pydicom.uid.DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(io.read(tmp_path / "a.dcm", max_bytes=100_000).array, FLAT)
    dataset = slice_dataset(FLAT, ImageComments="x" * 9_000)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00091001, "UN", bytes(30_000_000))
    dataset.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    assert (tmp_path / "bomb.dcm").stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(InvalidArgument, match=r"deflated dataset.*--max-bytes"):
        io.read(tmp_path / "bomb.dcm", max_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_a_cut_deflated_dataset(tmp_path: Path) -> None:
    _dicom(tmp_path / "a.dcm", pydicom.uid.DeflatedExplicitVRLittleEndian)
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[:-50])
    with pytest.raises(InvalidArgument, match="cut off"):
        io.read(tmp_path / "a.dcm")


def test_an_rle_segment_longer_than_its_plane(tmp_path: Path) -> None:
    dataset = slice_dataset(FLAT)
    run = b"\x81\x00" * 40_000  # 5 MB of zeros
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + run
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InvalidArgument, match="RLE segment"):
        io.read(tmp_path / "a.dcm", max_bytes=1_000_000)


@pytest.mark.parametrize("codec", ["JPEG", "JPEG2000"])
def test_a_codestream_larger_than_its_dataset(tmp_path: Path, codec: str) -> None:
    """Decoders believe the codestream; the dataset of 8 x 8 is what the limit was checked with."""
    content = streams.BytesIO()
    Image.fromarray(FLAT).save(content, codec, **({"no_jp2": True} if codec == "JPEG2000" else {}))
    assert claimed_size(content.getvalue()) == FrameSize(64, 48, 1, 8)
    dataset = slice_dataset(np.zeros((8, 8), np.uint8))
    dataset.PixelData = pydicom.encaps.encapsulate([content.getvalue()])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    syntax = pydicom.uid.JPEGBaseline8Bit if codec == "JPEG" else pydicom.uid.JPEG2000Lossless
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InvalidArgument, match=r"64x48 pixels.*expected 8x8"):
        io.read(tmp_path / "a.dcm")


def test_frames_that_say_nothing_have_no_size() -> None:
    for frame in (
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\x00",
        b"\xff\xd8\x00\x00\x00\x00",
        b"\xff\x4f\xff\x51\x00",
        b"junk",
    ):
        assert claimed_size(frame) is None


def test_a_picture_above_pillows_own_limit(tmp_path: Path) -> None:
    """Pillow refuses 179 megapixels and warns from 89 on; here only bytes count."""
    Image.new("1", (19_000, 10_000)).save(tmp_path / "a.png")
    assert io.read_image(tmp_path / "a.png").pixels.shape == (10_000, 19_000)
    with pytest.raises(InvalidArgument, match="got 190000000 bytes"):
        io.read_image(tmp_path / "a.png", max_bytes=100_000_000)


def test_a_tile_larger_than_its_picture(tmp_path: Path) -> None:
    tags = {256: 64, 257: 48, 258: 8, 259: 8, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (tmp_path / "a.tif").write_bytes(struct.pack("<2sHI4sH", b"II", 42, 12, b"data", len(tags)) + entries + bytes(4))
    with pytest.raises(InvalidArgument, match="a tile of 60000x60000 pixels"):
        io.read_image(tmp_path / "a.tif", max_bytes=1_000_000_000)


def test_the_end_of_a_packed_nifti_file_is_not_sought_for_ever(tmp_path: Path) -> None:
    _nifti(tmp_path / "a.nii.gz")
    content = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content + bytes(20_000_000)))
    with pytest.raises(InvalidArgument, match="behind the last voxel"):
        io.read(tmp_path / "a.nii.gz", volume=0, max_bytes=1_000_000)


def test_limits_that_are_none() -> None:
    for bad in (0, -1, True, 2.5, "4G"):
        with pytest.raises(InvalidArgument, match="max_bytes"):
            io.read("any.png", max_bytes=bad)  # type: ignore[arg-type]
    assert default_max_bytes() > 1 << 20


def test_a_folder_of_cases(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in/2DBox_a.npz", imgs=FLAT, boxes=np.array([[1, 1, 9, 9]]))
    with pytest.raises(InvalidArgument, match="max_bytes"):
        FolderRun(tmp_path / "in", tmp_path / "out", max_bytes=0)
    assert FolderRun(tmp_path / "in", tmp_path / "out", max_bytes=5).pending == 1


def test_two_arrays_of_one_name_and_other_compressions(tmp_path: Path) -> None:
    one = streams.BytesIO()
    np.save(one, FLAT)
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        archive.writestr("imgs.npy", one.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("imgs.npy", one.getvalue())
    with pytest.raises(InvalidArgument, match="imgs twice"):
        io.read(tmp_path / "twice.npz")
    with zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("imgs.npy", one.getvalue())
    with pytest.raises(InvalidArgument, match="compressed by method 14"):
        io.read(tmp_path / "lzma.npz")


@pytest.mark.parametrize("suffix", [".dcm", ".png", ".tif", ".npz", ".nii", ".nrrd", ".mha"])
def test_a_sparse_file_of_a_tebibyte(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" if suffix == ".png" else b"II*\0" if suffix == ".tif" else b"")
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidArgument) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)


def test_a_sparse_embedding(tmp_path: Path) -> None:
    with (tmp_path / "e").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidArgument, match="a quarter of the memory"):
        load_embedding(tmp_path / "e")


def test_a_label_asks_for_no_memory() -> None:
    labels = np.zeros((4, 4), np.uint32)
    labels[0, 0] = 4_294_967_295
    with pytest.raises(InvalidArgument, match="got label 4294967295"):
        score_case(labels, labels)


def test_directories_of_a_tiff_are_not_counted_to_the_end(tmp_path: Path) -> None:
    """Each further one takes longer to look up."""
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not in a thin installation")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(1002):
            file.write(np.zeros((1, 1), np.uint8), contiguous=False)
    with pytest.raises(InvalidArgument, match="more than 1000 pictures"):
        io.read(tmp_path / "a.tif")
