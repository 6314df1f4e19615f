# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""docs/get_a_box.md: each conversion, with the page's own numbers, gives the page's box; its commands run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from medsam_engine import io
from medsam_engine.cli.app import run
from medsam_engine.io.boxes import boxes_from_mm
from medsam_engine.io.slicer_markups import markups_boxes

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "get_a_box.md").read_text(encoding="utf-8")
BOX = [120, 80, 10, 190, 160, 40]
ROWS = dict(re.findall(r"^\| ([^|]+?) \|[^|]*\|[^|]*\| ([^|]+?) \|$", PAGE, re.MULTILINE))


def numbers(program: str) -> list[list[float]]:
    """The numbers of the page's example, one list for each piece of code."""
    return [[float(n) for n in re.findall(r"-?\d+", code)] for code in re.findall(r"`([^`]+)`", ROWS[program])]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    spacing, first = (
        [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", part)]
        for part in re.findall(r"spacing is ([^m]*)mm, whose first voxel lies at ([^m]*)mm", PAGE.replace("\n", " "))[0]
    )
    values = np.random.default_rng(0).integers(-200, 0, (42, 170, 200)).astype(np.int16)
    values[10:41, 80:161, 120:191] += 150
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(first)
    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def test_the_page_names_the_box() -> None:
    assert f"`{','.join(str(n) for n in BOX)}`" in PAGE
    assert len(ROWS) - 2 == 7, "a row without a test"  # the head and its line of dashes


def test_itk_snap() -> None:
    one, other = numbers("ITK-SNAP")
    assert [n - 1 for n in one + other] == BOX


def test_fiji() -> None:
    (x, y, w, h), (first, last) = numbers("Fiji, ImageJ")
    assert [x, y, first - 1, x + w - 1, y + h - 1, last - 1] == BOX


def test_napari() -> None:
    one, other = numbers("napari")
    assert [*one[::-1], *other[::-1]] == BOX


def test_numpy_slices() -> None:
    ((z0, z1, y0, y1, x0, x1),) = numbers("NumPy slices")
    assert [x0, y0, z0, x1 - 1, y1 - 1, z1 - 1] == BOX


def test_width_and_height() -> None:
    ((x, y, w, h),) = numbers("width and height")
    assert [x, y, x + w - 1, y + h - 1] == [BOX[0], BOX[1], BOX[3], BOX[4]]


@pytest.mark.parametrize(("program", "sign"), [("SimpleITK, DICOM", 1.0), ("NIfTI viewers", -1.0)])
def test_millimeters(scan: Path, program: str, sign: float) -> None:
    points = [[sign * x, sign * y, z] for x, y, z in numbers(program)]
    assert boxes_from_mm([points[0] + points[1]], io.read(scan)).tolist() == [BOX]
    second = sitk.ReadImage(str(scan))
    assert [n for point in points for n in second.TransformPhysicalPointToIndex(point)] == BOX


def test_a_region_of_slicer(tmp_path: Path, scan: Path) -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "liver.mrk.json").write_text(text, encoding="utf-8")
    boxes, names = markups_boxes(tmp_path / "liver.mrk.json", io.read(scan))
    assert boxes.tolist() == [BOX]
    assert names == ("liver",)
    markup = json.loads(text)["markups"][0]
    second = sitk.ReadImage(str(scan))
    half = np.array(markup["size"]) / 2 - 0.01
    found = [second.TransformPhysicalPointToIndex((markup["center"] + s * half).tolist()) for s in (-1, 1)]
    assert [n for point in found for n in point] == BOX


def test_the_commands_run(
    tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(scan.parent)
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(ROOT / "tests" / "data" / "tiny_bundle"))
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", "none")
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "liver.mrk.json").write_text(text, encoding="utf-8")
    lines = re.findall(r"^medsam-engine (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        assert run(line.split()) == 0, (line, capsys.readouterr().err)
    assert (tmp_path / "check.png").exists()
    assert (tmp_path / "mask.nii.gz").exists()
