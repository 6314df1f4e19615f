# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment`: boxes and names from DICOM SEG, RTSTRUCT and NRRD, and names on the way out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stand_in import EngineStandIn
from numpy.typing import NDArray

from medsam_engine import io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from dicom_builder import straight, write_series
from label_objects import contour, frames_of, in_mm, rtstruct_dataset, saved, seg_dataset

from medsam_engine.cli.app import run


class Filler(EngineStandIn):  # type: ignore[misc]  # imported from the tests' own folder
    """Stands in for Engine: every box is its own mask."""

    def segment_volume(
        self, volume: NDArray[np.generic], boxes: NDArray[np.float64], progress: Callable[[int, int], object]
    ) -> NDArray[np.uint16]:
        labels = np.zeros(volume.shape[:3], np.uint16)
        for k, (x0, y0, z0, x1, y1, z1) in enumerate(boxes.astype(int), start=1):
            labels[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = k
            progress(k, len(boxes))
        return labels


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsam_engine.cli.model_options.Engine", Filler)
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", "none is read")


@pytest.fixture
def series(tmp_path: Path) -> io.MedicalImage:
    pixels = np.random.default_rng(3).integers(-900, 900, (6, 20, 30)).astype(np.int16)
    write_series(tmp_path / "series", pixels, straight(6, 2.5))
    return io.read(tmp_path / "series")


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    made = np.zeros((6, 20, 30), np.uint8)
    made[1:4, 4:10, 3:11], made[2:6, 12:, 20:] = 2, 5
    return made


def segment(folder: Path, *options: object) -> int:
    return run(["segment", str(folder / "series"), *map(str, options), "--modality", "CT"])


@pytest.mark.parametrize("middle", ["a.dcm", "a.seg.nrrd"])
@pytest.mark.parametrize("last", ["b.dcm", "b.seg.nrrd", "b.nrrd"])
def test_round_trip(
    tmp_path: Path,
    series: io.MedicalImage,
    labels: NDArray[np.uint8],
    middle: str,
    last: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Labels to a file, boxes and names from it, and once more: the same voxels under the same names."""
    io.write(tmp_path / "l.nii.gz", labels, series)
    names = ["--name", "liver", "--name", "Milz \u813e"]
    assert segment(tmp_path, "--boxes-from", tmp_path / "l.nii.gz", *names, "-o", tmp_path / middle) == 0
    assert segment(tmp_path, "--boxes-from", tmp_path / middle, "-o", tmp_path / last) == 0
    found = io.read_boxes(tmp_path / last, series)
    assert found.names == ("liver", "Milz \u813e")
    np.testing.assert_array_equal(found.labels, [2, 5])
    np.testing.assert_array_equal(found.boxes, [[3, 4, 1, 10, 9, 3], [20, 12, 2, 29, 19, 5]])
    if last.endswith(".nrrd"):
        np.testing.assert_array_equal(io.read_labels(tmp_path / last)[0], labels)
    assert "note" not in capsys.readouterr().err


def test_the_boxes_of_a_seg_are_shown_before_a_model_runs(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    io.write(tmp_path / "a.dcm", labels, series)
    words = ["view", str(tmp_path / "series"), "-o", str(tmp_path / "axes.png")]
    assert run([*words, "--boxes-from", str(tmp_path / "a.dcm")]) == 0
    assert (tmp_path / "axes.png").exists()
    assert run([*words, "--labels", str(tmp_path / "a.dcm")]) == 2
    assert "got a segmentation object in " in (err := capsys.readouterr().err)
    assert "--boxes-from" in err
    capsys.readouterr()
    assert run(["view", "--help"]) == 0
    assert "Label map, DICOM SEG, RTSTRUCT" in " ".join(capsys.readouterr().out.replace("\u2502", " ").split())


def test_from_an_rtstruct(tmp_path: Path, series: io.MedicalImage, capsys: pytest.CaptureFixture[str]) -> None:
    square = [[2.6, 3.6], [10.3, 3.6], [10.3, 9.4], [2.6, 9.4]]
    rings = [contour(in_mm(series, square, k)) for k in (1, 2, 3)]
    point = [contour(in_mm(series, [[1, 1]], 2), "POINT")]
    saved(tmp_path / "rs.dcm", rtstruct_dataset(series, {4: ("GTV", rings), 9: ("isocenter", point)}))
    assert segment(tmp_path, "--boxes-from", tmp_path / "rs.dcm", "-o", tmp_path / "a.dcm") == 0
    found = io.read_boxes(tmp_path / "a.dcm", series)
    assert (found.labels.tolist(), found.names) == ([4], ("GTV",))
    assert found.boxes.tolist() == [[3, 4, 1, 10, 9, 3]]
    assert "note: rs.dcm: 1 contours of ROI 9 (isocenter) left out: POINT" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["a.csv", "a.txt", "a.seg.nrrd", "a.dcm"])
def test_names_from(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], kind: str) -> None:
    one = np.where(labels == 2, 1, 0).astype(np.uint8)
    if kind == "a.csv":
        (tmp_path / kind).write_text("label,name\n1,liver\n7,spleen\n")
    elif kind == "a.txt":
        (tmp_path / kind).write_text('    1   255    0    0        1  1  1    "liver"\n')
    else:
        io.write(tmp_path / kind, one, series, names={1: "liver"})
    box = ["--box", "3,4,1,10,9,3"]
    assert segment(tmp_path, *box, "--names-from", tmp_path / kind, "-o", tmp_path / "m.dcm") == 0
    assert io.read_boxes(tmp_path / "m.dcm", series).names == ("liver",)
    two = [*box, "--box", "3,4,1,10,9,3"]
    assert segment(tmp_path, *two, "--names-from", tmp_path / kind, "-o", tmp_path / "m.dcm") == 2


BOX = ("--box", "3,4,1,10,9,3")
REFUSED = {
    "too many": ((*BOX, "--name", "a", "--name", "b"), "--name: got 2 for 1 objects"),
    "too few": ((*BOX, *BOX, "--name", "a"), "--name: got 1 for 2 objects"),
    "both": ((*BOX, "--name", "a", "--names-from", "TABLE"), "--name and --names-from"),
    "too long": ((*BOX, "--name", "x" * 65), "got 65 characters"),
    "a backslash": ((*BOX, "--name", "a\\b"), "backslash"),
    "a control character": ((*BOX, "--name", "a\x07b"), "printable"),
    "none": ((*BOX, "--name", ""), "printable"),
    "another label": ((*BOX, *BOX, "--names-from", "TABLE"), "--names-from: got no name for label 2"),
    "no file": ((*BOX, "--names-from", "absent.csv"), "no such file"),
    "over the names": ((*BOX, "--names-from", "TABLE", "-o", "TABLE"), "output"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_are_refused_in_one_line(
    tmp_path: Path, series: io.MedicalImage, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options, words = REFUSED[case]
    table = tmp_path / "t.dcm"
    io.write(table, np.ones(series.grid, np.uint8), series)
    content = table.read_bytes()
    given = [str(table) if option == "TABLE" else option for option in options]
    assert segment(tmp_path, "-o", tmp_path / "m.dcm", *given) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert words in last
    assert not (tmp_path / "m.dcm").exists()
    assert table.read_bytes() == content


def test_boxes_of_another_grid_and_frame_of_reference(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    for tags, words in (
        ({"Rows": 20, "FrameOfReferenceUID": "1.2.3"}, "frame of reference 1.2.3"),
        ({"TotalPixelMatrixColumns": 30}, "whole-slide"),
    ):
        path = saved(tmp_path / "a.dcm", seg_dataset(series, frames_of(labels), **tags))
        assert segment(tmp_path, "--boxes-from", path, "-o", tmp_path / "m.nrrd") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("medsam-engine: labels: got ")
        assert words in error


def test_nothing_of_the_libraries_reaches_the_terminal(tmp_path: Path) -> None:
    """In a process of its own, with Python's own filters of warnings and the command's handlers of logs."""
    script = f"""
import sys, warnings
sys.path.insert(0, {str(Path(__file__).parents[2] / "support")!r})
import numpy as np
from pathlib import Path
from typing import Any
from dicom_builder import straight, write_series
folder = Path({str(tmp_path)!r})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    write_series(folder / "series", np.zeros((3, 20, 30), np.int16), straight(3, 2.0),
                 AccessionNumber="3912173256621705-1", StudyID="x" * 18, PatientAge="60")
print("made", file=sys.stderr)
import medsam_engine.cli.model_options
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_segment_round_trip import Filler
medsam_engine.cli.model_options.Engine = Filler
from medsam_engine.cli.app import run
arguments = ["segment", str(folder / "series"), "--bundle", "none", "--modality", "CT"]
first = run([*arguments, "--box", "3,4,1,10,9,2", "-o", str(folder / "a.dcm")])
second = run([*arguments, "--boxes-from", str(folder / "a.dcm"), "-o", str(folder / "b.dcm")])
print(first, second)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["0", "0"]
    said = done.stderr.partition("made\n")[2]
    assert "WARNING" not in said
    assert "Warning" not in said
    assert "length" not in said
    assert said.count("wrote") == 2


def test_a_slice_that_is_exchanged_meanwhile(
    tmp_path: Path, series: io.MedicalImage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Filler.segment_volume
    last = series.source.files[-1]  # type: ignore[union-attr]  # a DICOM image has one

    def exchanging(self: Filler, *arguments: Any, **options: Any) -> NDArray[np.uint16]:
        last.write_bytes(last.read_bytes() + b"\0\0")
        return original(self, *arguments, **options)

    monkeypatch.setattr(Filler, "segment_volume", exchanging)
    assert segment(tmp_path, "--box", "3,4,1,10,9,2", "-o", tmp_path / "m.nii.gz") == 2
    assert f"{last.name}, expected a file that stays as it is" in capsys.readouterr().err
    assert not (tmp_path / "m.nii.gz").exists()
