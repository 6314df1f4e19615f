# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run --dicomweb` with a stand-in of a server: which series, skipped, resumed, stored, refused."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dicomweb_client", reason="it is of the extra [dicomweb]")
pytest.importorskip("highdicom", reason="DICOM SEG needs the full installation")

from dicom_builder import stored, straight, write_series
from dicomweb_stand_in import URL, Answer, StandIn

from medsam_engine import io
from medsam_engine.cli.app import run as command
from medsam_engine.errors import InvalidArgument

pytestmark = pytest.mark.usefixtures("tiny_bundle")
STUDY, CT, MR = "1.2.826.0.1.77", "1.2.826.0.1.77.1", "1.2.826.0.1.77.2"
SECRET = "Doe^Jane"
BOX = ("--box", "3,4,1,12,10,3")
Run = Callable[..., tuple[int, str]]


def series(folder: Path, uid: str = CT, **tags: Any) -> None:
    known = {
        "StudyInstanceUID": STUDY,
        "PatientName": SECRET,
        "PatientID": SECRET,
        "SeriesDescription": SECRET,
        "FrameOfReferenceUID": f"{uid}.9",
    }
    write_series(folder, stored(5, 16, 20), straight(5, 2.0), SeriesInstanceUID=uid, **{**known, **tags})


@pytest.fixture
def held(tmp_path: Path, stand_in: StandIn) -> StandIn:
    """The stand-in with a study of a CT and an MR series."""
    series(tmp_path / "ct")
    series(tmp_path / "mr", MR, Modality="MR")
    stand_in.add(tmp_path / "ct", tmp_path / "mr")
    return stand_in


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command with the answers in "out"; returns the status and what it says, which names no patient."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)

    def call(*options: object) -> tuple[int, str]:
        status = command(["run", "--dicomweb", URL, *map(str, options), "-o", str(tmp_path / "out")])
        captured = capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        assert list((tmp_path / "temporary").iterdir()) == []  # nothing that was fetched stays
        return status, captured.out + captured.err

    return call


def fetches(held: StandIn) -> list[str]:
    """The series that were fetched."""
    return [asked.rpartition("/")[2] for asked in held.asked if asked.split("/")[-2] == "series"]


def test_one_series_of_a_study(held: StandIn, run: Run, tmp_path: Path) -> None:
    status, said = run("--study", STUDY, "--modality", "CT", *BOX, "--name", "liver")
    assert (status, "1 case done, 0 skipped, 0 failed" in said) == (0, True)
    answer = tmp_path / "out" / f"{CT}.dcm"
    scan = io.read(tmp_path / "ct")
    assert io.read_boxes(answer, scan).names == ("liver",)
    assert not held.of_kind("SEG")  # stored where it is asked for only
    source = json.loads((tmp_path / "out" / f"{CT}.dcm.source.json").read_text(encoding="ascii"))
    assert (source["study"], source["series"], source["instances"]) == (STUDY, CT, {CT: 5})


@pytest.mark.usefixtures("held")
def test_it_is_what_a_run_over_the_files_gives(run: Run, tmp_path: Path) -> None:
    run("--study", STUDY, "--series", CT, *BOX)
    (tmp_path / "cases.csv").write_text("file,x0,y0,z0,x1,y1,z1\nct,3,4,1,12,10,3\n", encoding="utf-8")
    assert command(["run", str(tmp_path / "cases.csv"), str(tmp_path / "files"), "--format", "dcm"]) == 0
    assert (tmp_path / "files" / "ct.dcm").read_bytes() == (tmp_path / "out" / f"{CT}.dcm").read_bytes()


def test_a_repeat_fetches_nothing(held: StandIn, run: Run) -> None:
    run("--study", STUDY, "--series", CT, *BOX)
    held.asked.clear()
    status, said = run("--study", STUDY, "--series", CT, *BOX)
    assert (status, "0 cases done, 1 skipped" in said) == (0, True)
    assert fetches(held) == []


def test_a_series_that_has_changed_is_fetched_and_refused(held: StandIn, run: Run) -> None:
    run("--study", STUDY, "--series", CT, *BOX)
    gone = next(uid for uid, one in held.held.items() if one.dataset.SeriesInstanceUID == CT)
    del held.held[gone]
    status, said = run("--study", STUDY, "--series", CT, *BOX)
    assert (status, "which does not match this run in" in said) == (1, True)
    status, said = run("--study", STUDY, "--series", CT, *BOX, "--overwrite")
    assert (status, "1 case done" in said) == (0, True)


@pytest.mark.usefixtures("held")
def test_other_boxes_and_an_edited_answer_are_noticed(run: Run, tmp_path: Path) -> None:
    run("--study", STUDY, "--series", CT, *BOX)
    status, said = run("--study", STUDY, "--series", CT, "--box", "3,4,1,12,10,2")
    assert (status, "match this run in objects" in said) == (1, True)
    answer = tmp_path / "out" / f"{CT}.dcm"
    answer.write_bytes(answer.read_bytes() + b"\0\0")
    status, said = run("--study", STUDY, "--series", CT, *BOX)
    assert (status, "was changed after it was written" in said) == (1, True)


def test_a_source_record_of_no_worth_only_costs_a_fetch(held: StandIn, run: Run, tmp_path: Path) -> None:
    run("--study", STUDY, "--series", CT, *BOX)
    place = tmp_path / "out" / f"{CT}.dcm.source.json"
    good = place.read_bytes()
    for content in (b"", b"[]", b"\xff"):
        place.write_bytes(content)
        held.asked.clear()
        status, said = run("--study", STUDY, "--series", CT, *BOX)
        assert (status, "1 skipped" in said) == (0, True)
        assert fetches(held) == [CT]
        assert place.read_bytes() == good


def test_a_stored_answer_comes_back_with_the_same_voxels(held: StandIn, run: Run, tmp_path: Path) -> None:
    status, _ = run("--study", STUDY, "--series", CT, *BOX, "--store")
    assert status == 0
    (kept,) = held.of_kind("SEG")
    assert kept.content == (tmp_path / "out" / f"{CT}.dcm").read_bytes()
    assert kept.dataset.StudyInstanceUID == STUDY


def test_what_was_not_stored_is_stored_by_the_next_run(held: StandIn, run: Run) -> None:
    held.refuses = 0xA700
    status, said = run("--study", STUDY, "--series", CT, *BOX, "--store")
    assert status == 1
    assert f"{CT}: --store: got instance 2.25." in said
    assert "failure reason A700H" in said
    held.refuses = None
    held.asked.clear()
    status, said = run("--study", STUDY, "--series", CT, *BOX, "--store")
    assert (status, "1 skipped" in said, fetches(held)) == (0, True, [])
    assert len(held.of_kind("SEG")) == 1
    run("--study", STUDY, "--series", CT, *BOX, "--store")
    run("--study", STUDY, "--series", CT, *BOX, "--store", "--overwrite")
    assert len(held.of_kind("SEG")) == 1
    assert sum(asked.startswith("POST") for asked in held.asked) == 1


@pytest.mark.usefixtures("held")
def test_a_series_that_fails_again_and_again_is_put_aside(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fetched anew each time; the copies are the same case, whatever their times are."""

    def read(*_: object, **__: object) -> None:
        raise InvalidArgument("image: got a fault")

    monkeypatch.setattr(io, "read", read)
    for _ in range(2):
        status, said = run("--study", STUDY, "--series", CT, *BOX)
        assert (status, "--retry-failed tries it again" in said) == (1, False)
    status, said = run("--study", STUDY, "--series", CT, *BOX)
    assert (status, "quarantined after 2 tries" in said, "--retry-failed tries it again" in said) == (1, True, True)


def test_boxes_of_a_seg_of_the_study(held: StandIn, run: Run, tmp_path: Path) -> None:
    scan = io.read(tmp_path / "ct")
    labels = np.zeros(scan.grid, np.uint8)
    labels[1:4, 4:9, 3:9] = 1
    io.write(tmp_path / "seg.dcm", labels, scan, names={1: "spleen"})
    dataset = held.take((tmp_path / "seg.dcm").read_bytes())
    dataset.SeriesDescription = "by hand"
    uid = str(dataset.SeriesInstanceUID)
    for wanted in ("SEG", uid):
        status, said = run("--study", STUDY, "--series", CT, "--boxes-from", wanted, "--store", "--overwrite")
        assert (status, "1 case done" in said) == (0, True)
    found = io.read_boxes(tmp_path / "out" / f"{CT}.dcm", scan)
    assert found.names == ("spleen",)
    held.asked.clear()
    status, said = run("--study", STUDY, "--series", CT, "--boxes-from", "seg", "--store")  # its own SEG is not meant
    assert (status, "1 skipped" in said, fetches(held)) == (0, True, [])


@pytest.mark.usefixtures("held")
def test_boxes_of_a_file(run: Run, tmp_path: Path) -> None:
    scan = io.read(tmp_path / "ct")
    labels = np.zeros(scan.grid, np.uint8)
    labels[1:4, 4:9, 3:9] = 7
    io.write(tmp_path / "boxes.nii.gz", labels, scan)
    options = ("--study", STUDY, "--series", CT, "--boxes-from", tmp_path / "boxes.nii.gz")
    assert run(*options)[0] == 0
    labels[1:4, 4:9, 3:12] = 7
    io.write(tmp_path / "boxes.nii.gz", labels, scan)
    status, said = run(*options)  # the file was edited: its boxes count, not its name
    assert (status, "match this run in boxes_from" in said) == (1, True)


def test_a_table_of_series_of_any_studies(held: StandIn, run: Run, tmp_path: Path) -> None:
    series(tmp_path / "other", "1.2.5.1", StudyInstanceUID="1.2.5")
    held.add(tmp_path / "other")
    rows = ["file,name,x0,y0,z0,x1,y1,z1", f"{CT},a,3,4,1,12,10,3", f"{CT},b,3,4,0,9,9,2", "1.2.5.1,a,2,2,1,9,9,3"]
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    status, said = run("--cases", table, "--json")
    assert (status, "2 cases done" in said) == (0, True)
    assert io.read_boxes(tmp_path / "out" / f"{CT}.dcm", io.read(tmp_path / "ct")).names == ("a", "b")
    assert (tmp_path / "out" / "1.2.5.1.dcm").exists()
    status, said = run("--cases", table, "--study", STUDY)
    assert (status, "--series: got 1.2.5.1, expected one of the study" in said) == (2, True)
    table.write_text("\n".join([*rows[:2], "1.2.9,a,2,2,1,9,9,3"]), encoding="utf-8")
    status, said = run("--cases", table)
    assert (status, "--series: got 1.2.9, expected one that" in said) == (2, True)
    table.write_text("\n".join([rows[0], "ct,a,2,2,1,9,9,3"]), encoding="utf-8")
    status, said = run("--cases", table)
    assert (status, "cases.csv line 2: file: got 'ct', expected a UID" in said) == (2, True)


def test_a_dry_run_and_a_part(held: StandIn, run: Run, tmp_path: Path) -> None:
    rows = ["file,x0,y0,z0,x1,y1,z1", f"{CT},3,4,1,12,10,3", f"{MR},3,4,1,12,10,3"]
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run("--cases", tmp_path / "cases.csv", "--limit", 1)
    held.asked.clear()
    status, said = run("--cases", tmp_path / "cases.csv", "--dry-run")
    assert status == 0
    assert "1 to do, 1 finished" in said
    assert fetches(held) == []
    status, said = run("--cases", tmp_path / "cases.csv", "--shard", "1/2")
    others = run("--cases", tmp_path / "cases.csv", "--shard", "2/2")
    assert (status, others[0]) == (0, 0)
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 2


def test_a_server_that_fails_is_no_fault_of_the_case(held: StandIn, run: Run) -> None:
    held.fault = lambda asked, answer: Answer(500) if asked.endswith(CT) else answer
    for _ in range(3):
        status, said = run("--study", STUDY, "--series", CT, *BOX)
        assert (status, "quarantined" in said) == (1, False)
    held.fault = None
    assert run("--study", STUDY, "--series", CT, *BOX)[0] == 0


def test_one_series_that_fails_does_not_stop_the_rest(held: StandIn, run: Run, tmp_path: Path) -> None:
    def broken(asked: str, answer: Answer) -> Answer:
        return Answer(500) if asked.endswith(CT) else answer

    held.fault = broken
    rows = ["file,x0,y0,z0,x1,y1,z1", f"{CT},3,4,1,12,10,3", f"{MR},3,4,1,12,10,3"]
    (tmp_path / "cases.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    status, said = run("--cases", tmp_path / "cases.csv")
    assert (status, "1 case done, 0 skipped, 1 failed" in said) == (1, True)
    assert f"{CT}: --dicomweb: got HTTP 500 from {URL} about series {CT}" in said
    held.fault = None
    status, said = run("--cases", tmp_path / "cases.csv")
    assert (status, "1 case done, 1 skipped, 0 failed" in said) == (0, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--study", STUDY, *BOX], f"--series: got 2 series that match ({CT} (CT, number 1, 5 instances); {MR} (MR"),
        (["--study", "1.2.3", *BOX], "--study: got 1.2.3, expected a study that"),
        (["--study", STUDY, "--series", "1.2.3", *BOX], "--series: got 1.2.3, expected one of the study"),
        (["--study", STUDY, "--modality", "PET", *BOX], "--study: got no series of modality PET"),
        (["--study", STUDY, "--series", MR, "--modality", "CT", *BOX], "--study: got no series of modality CT"),
        (["--study", STUDY, "--series", CT], "prompt: got no boxes, expected one of --box"),
        (["--study", STUDY, "--boxes-from", "SEG", *BOX], "prompt: got --box and --boxes-from"),
        (["--study", STUDY, "--boxes-from", "RTSTRUCT"], "the study has neither SEG nor RTSTRUCT"),
        (["--study", STUDY, "--boxes-from", "SEG", "--name", "a"], "--name: got it without --box"),
        (["--study", STUDY, "--store", "--format", "nii.gz", *BOX], "--store: got it with another --format"),
        (["--study", "x", *BOX], "--study: got 'x', expected a UID"),
        (["--study", STUDY, "--series", CT, "--box", "1,2,3"], "--box: got '1,2,3'"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    held: StandIn, run: Run, tmp_path: Path, options: list[str], words: str
) -> None:
    status, said = run(*options)
    assert status == 2
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert fetches(held) == []


def test_options_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["run", "--study", STUDY, str(tmp_path / "cases.csv"), str(tmp_path / "out")]) == 2
    assert "--study: got it with no --dicomweb, expected both" in capsys.readouterr().err


def test_a_note_about_a_server_that_counts_no_instances(held: StandIn, run: Run) -> None:
    held.counts = False
    status, said = run("--study", STUDY, "--series", CT, *BOX)
    assert status == 0
    words = f"note: {URL} does not say how many instances 1 of 1 series have"
    assert said.count(words) == 1
    held.counts = True
    assert words not in run("--study", STUDY, "--series", CT, *BOX)[1]


def test_another_server_with_the_same_uids_is_fetched_and_compared(held: StandIn, run: Run, tmp_path: Path) -> None:
    options = ("--study", STUDY, "--series", CT, *BOX)
    assert run(*options)[0] == 0
    copy = "http://copy.test/dicom-web"
    held.asked.clear()
    status, said = run(*options, "--dicomweb", copy)
    assert (status, "1 skipped" in said, fetches(held)) == (0, True, [CT])  # the very same images
    held.asked.clear()
    status, said = run(*options, "--dicomweb", copy)
    assert (status, fetches(held)) == (0, [])  # it is known now
    lossy = [one for one in held.held.values() if one.dataset.SeriesInstanceUID == CT]
    held.held = {uid: one for uid, one in held.held.items() if one not in lossy}
    for one in lossy:
        one.dataset.PixelData = bytes(len(one.dataset.PixelData))
        one.dataset.save_as(tmp_path / "lossy.dcm")
        held.add(tmp_path / "lossy.dcm")
    status, said = run(*options, "--dicomweb", "http://research.test/dicom-web", "--store")
    assert status == 1
    assert "does not match this run in input" in said
    assert held.of_kind("SEG") == []


@pytest.mark.usefixtures("held")
def test_a_note_about_a_server_that_is_not_encrypted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("Bearer hush", encoding="utf-8")
    _, said = run("--study", STUDY, "--series", CT, *BOX, "--dicomweb-auth", tmp_path / "auth")
    assert f"note: {URL} is not encrypted: images and the access to it can be read on the way" in said
    assert "hush" not in said


def test_nothing_of_a_patient_or_a_secret_is_logged(
    held: StandIn, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_DICOMWEB_AUTH", "Bearer hush")
    with caplog.at_level(logging.DEBUG):
        run("--study", STUDY, "--series", CT, *BOX, "--store")
    assert {request.headers["Authorization"] for request in held.sent} == {"Bearer hush"}
    assert "hush" not in caplog.text
    assert SECRET not in caplog.text
