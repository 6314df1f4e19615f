# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What ITK gets to see of a NRRD header: known fields, short, in our own spelling; text voxels never."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io

pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

HEADER = "NRRD0005\ntype: {kind}\ndimension: 3\nsizes: 4 3 2\nendian: little\nencoding: {encoding}\n{more}\n"
VALUES = np.arange(24).reshape(2, 3, 4)
FIELDS = (
    "space", "space dimension", "spacings", "space directions", "kinds", "centerings", "endian", "space origin",
    "axis mins", "axis maxs", "thicknesses", "space units", "measurement frame",
)  # fmt: skip


def nrrd(path: Path, more: str = "", *, kind: str = "uint8", encoding: str = "raw", data: bytes | None = None) -> Path:
    content = VALUES.astype(np.uint8).tobytes() if data is None else data
    path.write_bytes(HEADER.format(kind=kind, encoding=encoding, more=more).encode() + content)
    return path


def outcomes(paths: list[Path]) -> list[str]:
    """What io.read says of each, in a child that a fault of memory would end."""
    code = (
        "import sys\nfrom medsam_engine import Error, io\nfor path in sys.argv[1:]:\n    try:\n"
        "        io.read(path)\n        print('read')\n    except Error as error:\n"
        "        print(type(error).__name__)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    return ran.stdout.split()


# A kilobyte of a field that ITK's library refuses ran over the buffer of its message.
def test_long_fields_do_not_reach_the_library(tmp_path: Path) -> None:
    paths = []
    for field in FIELDS:
        for number, value in enumerate(("B" * 1300, "B" * 20_000, " ".join(["B" * 40] * 40), "(" + "1," * 900 + "1)")):
            endless = "endian: little\n" if field == "endian" else ""
            paths.append(nrrd(tmp_path / f"{field}{number}.nrrd", f"{field}: {value}\n"))
            if endless:
                text = paths[-1].read_bytes().replace(endless.encode(), b"", 1)
                paths[-1].write_bytes(text)
    said = outcomes(paths)
    assert len(said) == len(paths)
    free = {"measurement frame", "space units"}  # of no matter to the voxels, and not handed on
    for path, outcome in zip(paths, said, strict=True):
        assert outcome == "InvalidArgument" or any(path.name.startswith(name) for name in free), path.name


# A token of the text was copied into a buffer of fixed size.
def test_long_tokens_do_not_reach_the_library(tmp_path: Path) -> None:
    paths = [
        nrrd(tmp_path / f"{size}{kind}.nrrd", kind=kind, encoding="ascii", data=b"7" * size + b" 1" * 23)
        for size in (65, 1500, 20_000, 1 << 20)
        for kind in ("uint8", "float")
    ]
    assert outcomes(paths) == ["InvalidArgument"] * len(paths)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("signed char", "int8"), ("uchar", "uint8"), ("short", "int16"), ("ushort", "uint16"), ("float", "float32")],
)
def test_voxels_as_text_and_as_bytes(tmp_path: Path, kind: str, dtype: str) -> None:
    values = (VALUES - (0 if dtype.startswith("u") else 12)).astype(dtype)
    text = "\n".join(str(v) for v in values.ravel()).encode()
    as_text = io.read(nrrd(tmp_path / "a.nrrd", kind=kind, encoding="text", data=text)).array
    as_bytes = io.read(nrrd(tmp_path / "b.nrrd", kind=kind, data=values.tobytes())).array
    np.testing.assert_array_equal(as_text, values)
    np.testing.assert_array_equal(as_bytes, values)


@pytest.mark.parametrize("text", ["256" + " 1" * 23, "-1" + " 1" * 23, "1.5" + " 1" * 23, "x" + " 1" * 23, "1 " * 25])
def test_text_that_is_no_voxels_of_the_type(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgument):
        io.read(nrrd(tmp_path / "a.nrrd", encoding="ascii", data=text.encode()))


def test_geometry_is_kept(tmp_path: Path) -> None:
    more = (
        "space: left-posterior-superior\nspace directions: (0.5,0,0) (0,0.25,0) (0,0,3)\nspace origin: (-1,2.5,1e1)\n"
        'kinds: domain domain domain\nspace units: "mm" "mm" "mm"\n'
    )
    image = io.read(nrrd(tmp_path / "a.nrrd", more))
    assert image.spacing == (0.5, 0.25, 3.0)
    assert image.origin == (-1.0, 2.5, 10.0)


@pytest.mark.parametrize(
    "more",
    [
        'space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace units: "um" "um" "um"\n',
        "space: LPS\nspace directions: (1,0) (0,1) (0,0)\n",
        "space: LPS\nspace directions: (1,0,0) (0,1,0)\n",
        "space: LPS\nspace dimension: 3\n",
        "spacings: 1 2\n",
        "spacings: 1 2 1e999\n",
    ],
)
def test_fields_that_contradict_each_other(tmp_path: Path, more: str) -> None:
    with pytest.raises(InvalidArgument):
        io.read(nrrd(tmp_path / "a.nrrd", more))


@pytest.mark.parametrize("name", ["\u00dcber.raw", "50%.raw", "a b.raw"])
def test_any_plain_name_of_a_data_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(VALUES.astype(np.uint8).tobytes())
    path = tmp_path / "a.nhdr"
    path.write_text(HEADER.format(kind="uint8", encoding="raw", more=f"data file: {name}\n"), encoding="utf-8")
    np.testing.assert_array_equal(io.read(path).array, VALUES)
