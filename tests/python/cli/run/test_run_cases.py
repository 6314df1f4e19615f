# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` over a table of cases, on the tiny bundle: answers, places, failing files, interruption."""

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, io

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import HEADER, ROWS, labels_of, noise, snapshot, table_of, write_volume

from medsam_engine.cli.app import run
from medsam_engine.windows import apply_window

pytestmark = pytest.mark.usefixtures("tiny_bundle")
PATIENCE_S = 120  # a bound for a hung process, not a measure of speed


@pytest.fixture
def tiny(tiny_bundle: Path, tmp_path: Path) -> Engine:
    return Engine(tiny_bundle, cache_dir=tmp_path / "cache", cache_bytes=0)


def expected(tiny: Engine, path: Path, boxes: list[list[int]]) -> NDArray[np.generic]:
    image = io.read(path)
    pixels = apply_window(
        image.array, None, image.modality, image.color, padding=image.padding, hounsfield=image.hounsfield
    )
    modality = "CT" if image.modality == "CT" else None
    call = tiny.segment_volume if image.is_volume else tiny.segment
    return call(pixels, boxes, modality=modality)


def test_a_volume_a_series_and_a_picture(
    scans: Path, tmp_path: Path, tiny: Engine, errors: Callable[[], list[str]]
) -> None:
    out, times, objects = tmp_path / "out", tmp_path / "times.csv", tmp_path / "objects.csv"
    options = ["--csv", str(times), "--objects", str(objects), "--preview-folder", str(tmp_path / "previews")]
    assert run(["run", str(table_of(scans)), str(out), *options]) == 0
    assert "3 cases done, 0 skipped, 0 failed" in errors()[-1]
    answers = {
        "mr.nii.gz": ("mr.nii.gz", [[4, 5, 1, 20, 19, 3]]),
        "us.png": ("us.png", [[5, 6, 30, 40], [20, 10, 60, 47]]),
        "ct": ("ct.nii.gz", [[3, 3, 1, 12, 12, 3]]),
    }
    for name, (answer, boxes) in answers.items():
        labels, source = io.read_labels(out / "scans" / answer)
        np.testing.assert_array_equal(labels, expected(tiny, scans / name, boxes))
        if answer != "us.png":
            np.testing.assert_allclose(source.affine, io.read(scans / name).affine, atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "previews" / "scans").iterdir()) == [
        "ct.nii.gz.png",
        "mr.nii.gz.png",
        "us.png.png",
    ]
    with times.open(newline="") as file:
        cases = {row["case"]: row for row in csv.DictReader(file)}
    assert [row["status"] for row in cases.values()] == ["done"] * 3
    assert (cases["scans/us.png"]["objects"], cases["scans/ct"]["slices"]) == ("2", "5")
    with objects.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["label"]) for row in rows] == [
        ("liver", "1"),
        ("lesion", "1"),
        ("lesion", "2"),
        ("tube", "1"),
    ]
    voxels = int(np.count_nonzero(labels_of(out / "scans" / "mr.nii.gz")))
    assert int(rows[0]["voxels"]) == voxels
    assert float(rows[0]["ml"]) == pytest.approx(voxels * 0.8 * 0.9 * 4.0 / 1000, rel=1e-6)
    assert rows[1]["ml"] == ""  # a picture has no mm


@pytest.mark.parametrize("form", ["positional", "options", "mixed"])
def test_the_places_may_be_arguments_or_options(scans: Path, tmp_path: Path, form: str) -> None:
    table, out = str(table_of(scans, ROWS[1])), str(tmp_path / "out")
    forms = {"positional": [table, out], "options": ["--cases", table, "-o", out], "mixed": ["--cases", table, out]}
    assert run(["run", *forms[form], "-q"]) == 0
    assert (tmp_path / "out" / "scans" / "us.png").is_file()


def test_a_folder_of_npz_cases_is_taken_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "npz"
    folder.mkdir()
    np.savez(folder / "2DBox_US_a.npz", imgs=noise(48, 64, 3), boxes=np.array([[5, 6, 30, 40]]))
    for k, form in enumerate([["-i", str(folder), "-o"], ["--cases", str(folder), "-o"], [str(folder)]]):
        assert run(["run", *form, str(tmp_path / f"out{k}"), "-q"]) == 0
        assert [path.name for path in (tmp_path / f"out{k}").iterdir()] == ["2DBox_US_a.npz"]


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "nrrd", "mha", "npz"])
def test_formats(scans: Path, tmp_path: Path, tiny: Engine, ending: str) -> None:
    assert run(["run", str(table_of(scans, ROWS[0])), str(tmp_path / "out"), "--format", ending, "-q"]) == 0
    written = labels_of(tmp_path / "out" / "scans" / f"mr.{ending}")
    np.testing.assert_array_equal(written, expected(tiny, scans / "mr.nii.gz", [[4, 5, 1, 20, 19, 3]]))


def test_dicom_seg_and_a_file_that_can_have_none(scans: Path, tmp_path: Path, only_error: Callable[[], str]) -> None:
    pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
    out = tmp_path / "out"
    assert run(["run", str(table_of(scans, ROWS[0], ROWS[2])), str(out), "--format", "dcm", "-q"]) == 1
    line = only_error()
    assert line.startswith("scans/mr.nii.gz: ")
    assert "DICOM SEG" in line
    assert sorted(path.name for path in (out / "scans").iterdir()) == ["ct.dcm", "ct.dcm.json"]


def test_boxes_in_mm_labels_and_options_of_a_row(scans: Path, tmp_path: Path, tiny: Engine) -> None:
    header = "file;name;label;x0_mm;y0_mm;z0_mm;x1_mm;y1_mm;z1_mm;window;extra"  # as a spreadsheet in Europe writes it
    low, high = (-10 + 4 * 0.8, 5 + 5 * 0.9, 30 + 1 * 4.0), (-10 + 20 * 0.8, 5 + 19 * 0.9, 30 + 3 * 4.0)
    row = ";".join(["scans/mr.nii.gz", "liver", "70000", *(f"{value:.4f}" for value in (*low, *high)), "full", "x"])
    table = scans.parent / "cases.csv"
    table.write_bytes(b"\xef\xbb\xbf" + f"{header}\r\n\r\n{row}\r\n".encode())
    assert run(["run", str(table), str(tmp_path / "out"), "-q"]) == 0
    image = io.read(scans / "mr.nii.gz")
    wanted = tiny.segment_volume(apply_window(image.array, "full"), [[4, 5, 1, 20, 19, 3]])
    np.testing.assert_array_equal(labels_of(tmp_path / "out" / "scans" / "mr.nii.gz"), wanted.astype(np.uint32) * 70000)


def test_columns_without_a_meaning_are_said_once(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    table = table_of(scans, *(f"{row},me,7" for row in ROWS), header=f"{HEADER},reader,site")
    assert run(["run", str(table), str(tmp_path / "out")]) == 0
    assert [line for line in errors() if "reader" in line] == ["note: columns that are not used: reader, site"]


def test_a_failing_file_in_the_middle(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    damaged = (scans / "mr.nii.gz").read_bytes()[:300]
    (scans / "cut.nii.gz").write_bytes(damaged)
    table = table_of(
        scans,
        ROWS[0],
        "scans/cut.nii.gz,x,1,1,1,2,2,2",
        "scans/absent.nii.gz,x,1,1,1,2,2,2",
        "scans/us.png,good,5,6,,30,40,",
        "scans/us.png,outside,5,6,,300,40,",
        ROWS[2],
    )
    times = tmp_path / "times.csv"
    assert run(["run", str(table), str(tmp_path / "out"), "-q", "--csv", str(times)]) == 1
    lines = errors()
    assert [line.split(": ")[0] for line in lines] == ["scans/cut.nii.gz", "scans/absent.nii.gz", "scans/us.png"]
    assert "no such file" in lines[1]
    assert "cases.csv line 6: " in lines[2]
    written = sorted(path.name for path in (tmp_path / "out" / "scans").iterdir() if path.suffix != ".json")
    assert written == ["ct.nii.gz", "mr.nii.gz"]
    with times.open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "failed", "failed", "failed", "done"]


def test_an_unexpected_exception_is_of_one_case(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = io.read

    def read(path: Path, **options: object) -> io.MedicalImage:
        if path.name == "ct":
            raise ZeroDivisionError("in a library")
        return original(path, **options)  # type: ignore[arg-type]  # passes on what it was given

    monkeypatch.setattr(io, "read", read)
    assert run(["run", str(table_of(scans)), str(tmp_path / "out"), "-q"]) == 1
    assert only_error() == "scans/ct: internal error: ZeroDivisionError: in a library"


def test_a_file_above_the_limit_fails_and_a_large_one_waits_its_turn(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(scans)
    assert run(["run", str(table), str(tmp_path / "out"), "--max-bytes", "5000", "-q"]) == 1
    assert only_error().startswith("scans/us.png: ")  # 9216 bytes
    monkeypatch.setattr("medsam_engine.cohort.case_run._AHEAD_BYTES", 3000)
    assert run(["run", str(table), str(tmp_path / "again"), "-q"]) == 0


def test_equal_names_in_two_folders_are_two_answers(scans: Path, tmp_path: Path) -> None:
    for k in (1, 2):
        (scans.parent / f"p{k}").mkdir()
        write_volume(scans.parent / f"p{k}" / "ct.nii.gz", seed=k)
    table = table_of(scans, *(f"p{k}/ct.nii.gz,liver,4,5,1,20,19,3" for k in (1, 2)), "./p1/ct.nii.gz,b,1,1,1,9,9,2")
    assert run(["run", str(table), str(tmp_path / "out"), "-q"]) == 0
    one, two = (labels_of(tmp_path / "out" / f"p{k}" / "ct.nii.gz") for k in (1, 2))
    assert set(np.unique(one)) >= {1, 2}, "two spellings of one file are one case"
    assert not np.array_equal(one, two)


def test_answers_that_would_be_one_file_are_refused_before_anything_runs(
    scans: Path, tmp_path: Path, only_error: Callable[[], str]
) -> None:
    write_volume(scans / "mr.nrrd")
    absolute = tmp_path / "elsewhere" / "us.png"
    table = table_of(scans, *ROWS, "scans/mr.nrrd,liver,4,5,1,20,19,3")
    assert run(["run", str(table), str(tmp_path / "out")]) == 2
    line = only_error()
    for word in ("scans/mr.nrrd (line 6)", "scans/mr.nii.gz (line 2)", "rename"):
        assert word in line
    table_of(scans, f"{absolute},a,1,1,,2,2,", "../us.png,a,1,1,,2,2,")
    assert run(["run", str(table), str(tmp_path / "out")]) == 2
    assert "us.png" in only_error()
    assert not (tmp_path / "out").exists()


@pytest.mark.needs("links")
def test_an_answer_is_never_the_input(scans: Path, tmp_path: Path, only_error: Callable[[], str]) -> None:
    """Not through a link in the folder of the answers either."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "scans").symlink_to(scans)
    before = snapshot(scans)
    assert run(["run", str(table_of(scans, ROWS[1])), str(out), "-q", "--overwrite"]) == 1
    assert "nothing that is read is overwritten" in only_error()
    assert snapshot(scans) == before


@pytest.mark.needs("links")
def test_an_answer_is_never_the_input_of_another_case(
    scans: Path, tmp_path: Path, errors: Callable[[], list[str]]
) -> None:
    """Or that case would take a mask for its image."""
    sitk.WriteImage(sitk.GetImageFromArray(noise(24, 32)), str(scans / "b.tif"))
    (scans.parent / "b.png").symlink_to(scans / "us.png")
    (scans / "b.tif").rename(scans / "us.tif")
    out = tmp_path / "out"
    out.mkdir()
    (out / "scans").symlink_to(scans)
    before = snapshot(scans)
    table = table_of(scans, "scans/us.tif,a,4,5,,20,19,", "b.png,b,5,6,,30,40,")
    assert run(["run", str(table), str(out), "-q", "--overwrite"]) == 1
    line = errors()[0]
    assert "us.png for the answer, which is" in line
    assert "nothing that is read is overwritten" in line
    assert snapshot(scans) == before


@pytest.mark.needs("signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drops_the_case_at_work_and_a_new_run_goes_on(
    scans: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    depth = 3000
    volume = sitk.GetImageFromArray(noise(depth, 96, 96))
    sitk.WriteImage(volume, str(scans / "long.nii"))
    rows = [f"scans/long.nii,o{k},4,4,0,{60 + k},60,{depth - 1}" for k in range(8)]
    table, out = table_of(scans, ROWS[1], *rows, ROWS[2]), tmp_path / "out"
    times = tmp_path / "times.csv"
    command = [sys.executable, "-m", "medsam_engine", "run", str(table), str(out), "--csv", str(times)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while not times.exists() or "scans/us.png,done" not in times.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status
    assert err.splitlines()[-1] == "medsam-engine: interrupted"
    assert "1 case done, 0 skipped, 0 failed" in err
    assert sorted(path.name for path in (out / "scans").iterdir()) == ["us.png", "us.png.json"]
    table_of(scans, ROWS[1], ROWS[2])
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert "1 case done, 1 skipped, 0 failed" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "asked"), [([], "auto"), (["--profile", "litemedsam"], "f32"), (["--precision", "f32"], "f32")]
)
def test_the_clinical_profile_runs_what_is_certified(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], asked: str
) -> None:
    precisions = []

    def engine(*arguments: Any, **settings: Any) -> Engine:
        precisions.append(settings["precision"])
        return Engine(*arguments, **settings)

    monkeypatch.setattr("medsam_engine.cohort.run_engine.Engine", engine)
    assert run(["run", str(table_of(scans)), str(tmp_path / "out"), *options]) == 0
    assert precisions == [asked]
