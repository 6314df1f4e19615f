# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NRRD and MetaImage headers name what is read: only the file itself, or one file beside it, in every spelling."""

import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io
from medsam_engine.io.itk import plain_header

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

has_links = pytest.mark.skipif(
    sys.platform == "win32", reason="links take a right on Windows, which has no pipes among files"
)
VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
NRRD = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 4 3 2\nendian: little\nencoding: {encoding}\n{more}"
META = (
    "NDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\nBinaryDataByteOrderMSB = False\n{more}"
    "ElementDataFile = {data}\n"
)


def gz(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def text(values: NDArray[np.int16]) -> bytes:
    return " ".join(str(v) for v in values.ravel()).encode() + b"\n"


def written(folder: Path, name: str, header: str, content: bytes = b"") -> Path:
    (folder / name).write_bytes(header.encode() + content)
    return folder / name


@pytest.fixture(params=["links", "no links"])
def descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux has links to a process's open files; other systems have none, and a copy is read there."""
    if request.param == "no links":
        monkeypatch.setattr(plain_header, "_HAS_LINKS", False)


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
def test_attached_and_detached_data(tmp_path: Path, encoding: str, ends: str) -> None:
    raw = VOXELS.tobytes()
    content = {"raw": raw, "gzip": gz(raw), "ascii": text(VOXELS)}[encoding]
    more = {
        "raw": "",
        "gzip": f"CompressedData = True\nCompressedDataSize = {len(content)}\n",
        "ascii": "BinaryData = False\n",
    }
    nrrd, meta = NRRD.format(encoding=encoding, more=""), META.format(more=more[encoding], data="{data}")
    (tmp_path / "the data").write_bytes(content)
    paths = [
        written(tmp_path, "a.nrrd", (nrrd + "\n").replace("\n", ends), content),
        written(tmp_path, "a.nhdr", (nrrd + "data file: the data\n").replace("\n", ends)),
        written(tmp_path, "a.mha", meta.format(data="LOCAL").replace("\n", ends), content),
        written(tmp_path, "a.mhd", meta.format(data="the data").replace("\n", ends)),
    ]
    for path in paths:
        np.testing.assert_array_equal(io.read(path).array, VOXELS)


@pytest.mark.parametrize(
    ("more", "front"),
    [
        ("line skip: 2\n", b"a\nb\n"),
        ("byte skip: 5\n", b"12345"),
        ("byte skip: -1\n", b"junk"),
        ("line skip: 1\nbyte skip: 2\n", b"x\n12"),
    ],
)
def test_skips_of_raw_data(tmp_path: Path, more: str, front: bytes) -> None:
    (tmp_path / "d").write_bytes(front + VOXELS.tobytes())
    path = written(tmp_path, "a.nhdr", NRRD.format(encoding="raw", more=more + "data file: d\n"))
    np.testing.assert_array_equal(io.read(path).array, VOXELS)


def test_lines_before_compressed_data_and_a_header_size(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"one\n" + gz(VOXELS.tobytes()))
    path = written(tmp_path, "a.nhdr", NRRD.format(encoding="gzip", more="line skip: 1\ndata file: d\n"))
    np.testing.assert_array_equal(io.read(path).array, VOXELS)
    for size, name in (("7", "m"), ("-1", "n")):
        (tmp_path / name).write_bytes(b"1234567" + VOXELS.tobytes())
        path = written(tmp_path, f"{name}.mhd", META.format(more=f"HeaderSize = {size}\n", data=name))
        np.testing.assert_array_equal(io.read(path).array, VOXELS)


def test_what_a_header_says_of_the_grid_is_kept(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((1.0, -2.0, 3.5))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    for name in ("a.nrrd", "a.nhdr", "a.mha", "a.mhd"):
        for packed in (False, True):
            sitk.WriteImage(image, str(tmp_path / name), packed)
            read, expected = io.read(tmp_path / name), sitk.ReadImage(str(tmp_path / name))
            np.testing.assert_array_equal(read.array, VOXELS)
            np.testing.assert_allclose(read.spacing, expected.GetSpacing())
            np.testing.assert_allclose(read.origin, expected.GetOrigin())
            np.testing.assert_allclose(read.direction.ravel(), expected.GetDirection())


@has_links
@pytest.mark.usefixtures("descriptors")
def test_a_link_in_the_folder_is_followed_and_one_out_of_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/d").write_bytes(VOXELS.tobytes())
    (tmp_path / "in/link").symlink_to("d")
    path = written(tmp_path / "in", "a.mhd", META.format(more="", data="link"))
    np.testing.assert_array_equal(io.read(path).array, VOXELS)
    (tmp_path / "out").write_bytes(VOXELS.tobytes())
    (tmp_path / "in/escape").symlink_to("../out")
    for name, header in (("b.mhd", META.format(more="", data="escape")),
                         ("b.nhdr", NRRD.format(encoding="raw", more="data file: escape\n"))):  # fmt: skip
        with pytest.raises(InvalidArgument, match="a link out of the folder"):
            io.read(written(tmp_path / "in", name, header))


SECRET = b"root:x:0:0:root:/root:/bin/bash\n" * 4
_FILES = (
    "SECRET", "../secret", "./secret", "sub/secret", "sub\\secret", "LIST", "LIST 2",
    "s%03d.raw 1 2 1", "secret%d 1 1 1", ".", "..", "",
)  # fmt: skip
NRRD_NAMES = ("data file", "datafile", "Data File", "DATA FILE", "dataFile")


def _nrrd_attacks() -> dict[str, str]:
    attacks = {
        f"{name}:{file}": NRRD.format(encoding="raw", more=f"{name}: {file}\n")
        for file in _FILES
        for name in NRRD_NAMES
    }
    plain = NRRD.format(encoding="raw", more="")
    return attacks | {
        "twice": plain + "data file: a.raw\ndatafile: SECRET\n",
        "behind the list": plain + "data file: LIST\nSECRET\n",
        "no space": plain + "data file:SECRET\n",
        "spaces": plain + "data  file: SECRET\n",
        "tab": plain + "data\tfile: SECRET\n",
        "line end": plain + "data file: a.raw\rdata file: SECRET\n",
        "byte skip": plain + "byte skip: -2\ndata file: a.raw\n",
        "much skip": plain + "byte skip: 9999999\ndata file: a.raw\n",
        "odd skip": plain + "byte skip: 0x10\ndata file: a.raw\n",
        "many lines": plain + "line skip: 99999999\ndata file: a.raw\n",
        "no lines": plain + "line skip: 9\ndata file: a.raw\n",
        "block": plain.replace("int16", "block") + "block size: 2\ndata file: a.raw\n",
        "bzip2": plain.replace("raw", "bzip2") + "data file: a.raw\n",
    }


def _meta_attacks() -> dict[str, str]:
    attacks = {file: META.format(more="", data=file) for file in _FILES}
    end = "ElementDataFile = a.raw\n"
    plain = META.format(more="", data="a.raw").removesuffix(end)
    return attacks | {
        "case": plain + "elementdatafile = SECRET\n" + end,
        "spaces": plain + "Element Data File = SECRET\n" + end,
        "colon": plain + "ElementDataFile : SECRET\n",
        "line end": plain + "Comment = x\rElementDataFile = SECRET\n" + end,
        "numbers over lines": plain.replace("4 3 2", "4 3") + "2 = x\n" + end,
        "slices": plain + "HeaderSizePerSlice = 4\n" + end,
        "before the data": plain + "HeaderSize = -2\n" + end,
        "behind the data": plain + "HeaderSize = 99999\n" + end,
        "none": plain,
        "twice": plain + "HeaderSize = 0\nHeaderSize = 8\n" + end,
    }  # fmt: skip


def _refused(path: Path) -> str:
    with pytest.raises(InvalidArgument) as caught:
        io.read(path)
    assert "\n" not in str(caught.value)
    assert "root:x" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_no_spelling_reads_another_file(tmp_path: Path, suffix: str) -> None:
    secret = tmp_path / "secret"
    folder = tmp_path / "given"
    (folder / "sub").mkdir(parents=True)
    for path in (secret, folder / "sub/secret", folder / "s001.raw", folder / "s002.raw", folder / "secret1"):
        path.write_bytes(SECRET)
    (folder / "a.raw").write_bytes(VOXELS.tobytes())
    attacks = _nrrd_attacks() if suffix in (".nrrd", ".nhdr") else _meta_attacks()
    for name, header in attacks.items():
        _refused(written(folder, f"attack{suffix}", header.replace("SECRET", str(secret)))), name


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_file_alone_names_no_other_one(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "d").write_bytes(VOXELS.tobytes())
    header = NRRD.format(encoding="raw", more="data file: d\n") if suffix == ".nrrd" else META.format(more="", data="d")
    assert "expected" in _refused(written(tmp_path, f"a{suffix}", header))


@has_links
@pytest.mark.parametrize("kind", ["fifo", "folder", "zero"])
def test_a_data_file_that_is_no_file(tmp_path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(tmp_path / "d")
    elif kind == "folder":
        (tmp_path / "d").mkdir()
    else:
        (tmp_path / "d").symlink_to("/dev/zero")
    assert "it is a" in _refused(written(tmp_path, "a.mhd", META.format(more="", data="d")))
    assert "it is a" in _refused(written(tmp_path, "a.nhdr", NRRD.format(encoding="raw", more="data file: d\n")))


def test_a_header_of_any_length_ends(tmp_path: Path) -> None:
    for name, header in (("a.nrrd", NRRD.format(encoding="raw", more="# x\n" * 300_000)),
                         ("a.mha", META.format(more="Comment = x\n" * 100_000, data="LOCAL"))):  # fmt: skip
        assert "header of more than" in _refused(written(tmp_path, name, header, bytes(48)))
    nrrd = NRRD.format(encoding="raw", more="key:=value\n# x\n" * 2000 + "\n")
    meta = META.format(more="Comment = x\n0008|0060 = MR\n" * 2000, data="LOCAL")
    for name, header in (("b.nrrd", nrrd), ("b.mha", meta)):
        np.testing.assert_array_equal(io.read(written(tmp_path, name, header, VOXELS.tobytes())).array, VOXELS)


def test_content_decides_nothing(tmp_path: Path) -> None:
    """ITK takes the first of its readers that likes the content; a file named .mha is a MetaImage or an error."""
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.vtk"))
    (tmp_path / "a.mha").write_bytes((tmp_path / "a.vtk").read_bytes())
    (tmp_path / "b.mha").write_bytes(NRRD.format(encoding="raw", more="\n").encode() + VOXELS.tobytes())
    for name in ("a.mha", "b.mha"):
        _refused(tmp_path / name)
