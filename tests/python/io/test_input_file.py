# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What is no regular file is refused by every reader before it waits for it, and what a file leads to is one line."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsam_engine import InvalidArgument, OutOfMemory, io, load_embedding
from medsam_engine.cli.measure.eval import read_times
from medsam_engine.errors import Error
from medsam_engine.io import files
from medsam_engine.io.edge import reading
from medsam_engine.io.input_file import open_input
from medsam_engine.io.npz_file import load_arrays

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
from dicom_builder import slice_dataset, write_series

has_pipes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files among its own")

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".ima", ".png", ".jpg", ".tif", ".npz", "")
READERS: dict[str, Callable[[Path], object]] = {
    "read": io.read,
    "read_labels": io.read_labels,
    "read_image": io.read_image,
    "load_arrays": lambda path: load_arrays(path, "imgs"),
    "load_embedding": load_embedding,
    "read_times": read_times,
}


def _make(kind: str, path: Path) -> None:
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@has_pipes
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
def test_no_reader_opens_what_is_no_file(tmp_path: Path, kind: str) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"x{suffix}"
        _make(kind, path)
        for name, read in READERS.items():
            if kind == "a folder" and name in ("read", "read_labels"):
                continue  # a series
            with pytest.raises(InvalidArgument, match=kind):
                read(path)


@has_pipes
def test_a_pipe_that_takes_a_files_place_is_seen_when_it_is_open(tmp_path: Path) -> None:
    """The check is of what was opened: nothing is asked of the name before."""
    os.mkfifo(tmp_path / "p")
    (tmp_path / "link").symlink_to("p")
    with pytest.raises(InvalidArgument, match="a named pipe"):
        open_input(tmp_path / "link")
    (tmp_path / "f").write_bytes(b"x")
    with open_input(tmp_path / "f") as file:
        assert file.read() == b"x"


@has_pipes
def test_a_pipe_among_slices_is_named_and_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    write_series(folder, np.zeros((3, 8, 8), np.int16), np.array([[0.0, 0.0, k] for k in range(3)]))
    os.mkfifo(folder / "pipe.dcm")
    with pytest.raises(InvalidArgument, match=r"pipe\.dcm: no regular file"):
        io.read(folder)
    assert io.read(folder, skip_unreadable=True).grid == (3, 8, 8)


@pytest.mark.parametrize("depth", [500, 3000])
def test_a_dataset_nested_beyond_reason(tmp_path: Path, depth: int) -> None:
    dataset = slice_dataset(np.zeros((8, 8), np.int16))
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    content = (tmp_path / "a.dcm").read_bytes()
    # (0009,1001) SQ of undefined length, an item of undefined length in it, and so on.
    nest = b"\x09\x00\x01\x10SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    at = content.index(b"\x10\x00\x10\x00PN")
    (tmp_path / "deep.dcm").write_bytes(content[:at] + nest * depth + end * depth + content[at:])
    with pytest.raises(InvalidArgument, match=r"deep\.dcm") as caught:
        io.read(tmp_path / "deep.dcm")
    assert "\n" not in str(caught.value)
    folder = tmp_path / "series"
    write_series(folder, np.zeros((3, 8, 8), np.int16), np.array([[0.0, 0.0, k] for k in range(3)]))
    (folder / "deep.dcm").write_bytes((tmp_path / "deep.dcm").read_bytes())
    with pytest.raises(InvalidArgument, match=r"deep\.dcm"):
        io.read(folder)


@pytest.mark.parametrize(
    ("raised", "family"),
    [
        (MemoryError(), OutOfMemory),
        (RecursionError("maximum recursion depth exceeded"), InvalidArgument),
        (IndexError("list index out of range"), InvalidArgument),
        (KeyError("a\nb"), InvalidArgument),
        (OverflowError("too large"), InvalidArgument),
        (AssertionError(), InvalidArgument),
        (OSError(5, "Input/output error"), InvalidArgument),
    ],
)
def test_whatever_a_library_raises_is_one_of_the_family(
    tmp_path: Path, raised: Exception, family: type[Error], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise raised

    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(files, "_read_picture", broken)
    for read in (io.read, io.read_labels):
        with pytest.raises(family, match=r"a\.png") as caught:
            read(tmp_path / "a.png")
        assert "\n" not in str(caught.value)


def test_messages_of_ours_are_printable(tmp_path: Path) -> None:
    name = tmp_path / "a\x1b[2J\n\u202eb\udcff.png"
    with pytest.raises(InvalidArgument, match=r"a\\x1b\[2J\\n\\u202eb\\udcff\.png"):
        io.read(name)
    with pytest.raises(OutOfMemory, match=r"x\\x07"), reading("a"):
        raise OutOfMemory("x\x07")


def test_a_description_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    for k in range(2):
        write_series(
            tmp_path / "s", np.zeros((2, 8, 8), np.int16), np.array([[0.0, 0.0, j] for j in range(2)]),
            SeriesDescription="\x1b]0;owned\x07\x9b2J",
        )  # fmt: skip
        for path in (tmp_path / "s").glob("0*.dcm"):
            path.rename(path.with_name(f"{k}-{path.name}"))
    with pytest.raises(InvalidArgument, match="got 2 in") as caught:
        io.read(tmp_path / "s")
    assert str(caught.value).isprintable()
    assert r"\x1b]0;owned\x07" in str(caught.value)
