# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Records beside answers that other runs, people and other options have touched: no mask is lost or mistaken."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import permutations
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import labels_of, snapshot

from medsam_engine import io
from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RunOptions, answer_record, segment
from medsam_engine.cohort.answer_paths import CaseFiles, files_of
from medsam_engine.cohort.answer_record import Refused
from medsam_engine.cohort.segment_case import ReadCase

pytestmark = pytest.mark.usefixtures("tiny_bundle")

LIVER, SPLEEN = [4, 5, 1, 20, 19, 3], [22, 3, 2, 30, 12, 4]


def volume(scans: Path, **boxes: list[int]) -> CaseSpec:
    """The volume with these objects."""
    return CaseSpec.of(str(scans / "mr.nii.gz"), list(boxes.values()), names=list(boxes))


def per_object(folder: Path, **more: object) -> RunOptions:
    return RunOptions(str(folder), template="{case}/{name}.nii.gz", **more)  # type: ignore[arg-type]  # as they are


def status(case: CaseSpec, options: RunOptions) -> str:
    (end,) = segment([case], options)
    return end.status


def corrected(mask: Path, scans: Path) -> bytes:
    """A mask that somebody has edited; returns its content."""
    io.write(mask, np.roll(labels_of(mask), 1, axis=2), io.read(scans / "mr.nii.gz"))
    return mask.read_bytes()


def read_by(worker: CaseWorker, case: CaseSpec) -> tuple[CaseFiles, ReadCase]:
    files = worker.files(case)
    read = worker.read(files)
    assert isinstance(read, ReadCase)
    return files, read


def steps_of(name: str, files: CaseFiles) -> Iterator[None]:
    """A run that writes its name as the answer, in the steps between which another run may come."""
    made_of = {"run": name}
    answer_record.begin(files, made_of)
    yield
    digest = answer_record.write_hashed(files.answer, name.encode())
    yield
    answer_record.finish(files, made_of, "input", [], {files.answer: digest}, {})
    yield


@pytest.mark.parametrize("order", sorted(set(permutations("AAABBB"))), ids="".join)
def test_of_two_runs_at_once_neither_counts_with_the_answer_of_the_other(order: str, tmp_path: Path) -> None:
    files = files_of(CaseSpec.of("a.nii.gz"), tmp_path, None, None)
    runs = {name: steps_of(name, files) for name in "AB"}
    for name in order:
        with suppress(Refused):
            next(runs[name], None)
    record = json.loads(files.record.read_text())
    if record["status"] == "done":
        assert record["answer_sha256"] == answer_record.file_digest(files.answer), "for programs that read it"
    counted = set()
    for name in "AB":
        try:
            finished = answer_record.finished_objects(files, {"run": name}, lambda: "input")
        except Refused:
            continue
        if finished is not None:
            counted.add(name)
            assert files.answer.read_text() == name
    assert "".join(order) not in ("AAABBB", "BBBAAA") or counted == {order[-1]}


def test_a_run_that_was_overtaken_is_told_of_it(tmp_path: Path) -> None:
    files = files_of(CaseSpec.of("a.nii.gz"), tmp_path, None, None)
    mine, other = steps_of("A", files), steps_of("B", files)
    for run in (mine, mine, other):
        next(run)
    with pytest.raises(Refused, match=r"a.nii.gz.json replaced while the answer was written, expected one run"):
        next(mine)


def test_an_answer_that_has_come_since_the_case_was_read_is_kept(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow, quick = (CaseWorker(RunOptions(str(out))) for _ in range(2))
    case = volume(scans, liver=LIVER)
    files, read = read_by(slow, case)
    found = slow.segment(read)
    assert quick(volume(scans, liver=SPLEEN)).status == "done"
    before = snapshot(out)
    with pytest.raises(Refused, match="match this run in objects"):
        slow.write(files, read, found, CaseResult(case.file, ""))
    assert snapshot(out) == before


def test_an_answer_that_another_worker_has_made_is_not_written_again(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    slow, quick = (CaseWorker(RunOptions(str(out))) for _ in range(2))
    case = volume(scans, liver=LIVER)
    files, read = read_by(slow, case)
    found = slow.segment(read)
    done = quick(case)
    before = snapshot(out)
    end = CaseResult(case.file, "")
    slow.write(files, read, found, end)
    assert (end.status, end.measured) == ("done", done.measured)
    assert snapshot(out) == before


def test_two_workers_write_the_same_bytes_of_an_object_too(scans: Path, tmp_path: Path) -> None:
    case = CaseSpec.of(str(scans / "ct"), [[3, 3, 1, 12, 12, 3]], names=["tube"])
    for folder in ("one", "two"):
        assert status(case, RunOptions(str(tmp_path / folder), template="{case}/{name}.dcm")) == "done"
    one, two = (tmp_path / folder / "ct" / "tube.dcm" for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_mask_that_is_corrected_stays_when_another_one_is_removed(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    case = volume(scans, liver=LIVER, spleen=SPLEEN)
    assert status(case, per_object(out)) == "done"
    liver = out / "mr" / "liver.nii.gz"
    content = corrected(liver, scans)
    (out / "mr" / "spleen.nii.gz").unlink()
    for options in (per_object(out), per_object(out, if_different="redo")):
        (end,) = segment([case], options)
        assert (end.status, "liver.nii.gz, which was changed" in end.message) == ("refused", True)
        assert liver.read_bytes() == content
    assert status(case, per_object(out, overwrite=True)) == "done"
    assert liver.read_bytes() != content


def test_one_absent_mask_does_not_let_those_of_other_boxes_be_replaced(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert status(volume(scans, liver=LIVER, spleen=SPLEEN), per_object(out)) == "done"
    (out / "mr" / "spleen.nii.gz").unlink()
    assert status(volume(scans, liver=SPLEEN, spleen=SPLEEN), per_object(out)) == "refused"
    assert status(volume(scans, liver=LIVER, spleen=SPLEEN), per_object(out)) == "done"


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_file_that_the_record_does_not_list_is_nobodys_to_replace(
    scans: Path, tmp_path: Path, unfinished: bool
) -> None:
    out = tmp_path / "out"
    assert status(volume(scans, liver=LIVER), per_object(out)) == "done"
    record = out / "mr.json"
    if unfinished:
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "status": "unfinished", "answers": {"mr/liver.nii.gz": None}}))
    own = out / "mr" / "spleen.nii.gz"
    own.write_bytes(b"drawn by hand")
    case = volume(scans, liver=LIVER, spleen=SPLEEN)
    (end,) = segment([case], per_object(out, if_different="redo"))
    assert end.status == "refused"
    assert f"got {own}, expected {record} to list it" in end.message
    assert own.read_bytes() == b"drawn by hand"
    assert status(case, per_object(out, if_different="redo", overwrite=True)) == "done"


def test_a_case_that_was_killed_while_it_was_written_is_done_again(scans: Path, tmp_path: Path) -> None:
    """Its record lists the files, so that they are its own."""
    worker = CaseWorker(per_object(tmp_path / "out"))
    case = volume(scans, liver=LIVER, spleen=SPLEEN)
    files, read = read_by(worker, case)
    masks = files.masks({1: "liver", 2: "spleen"})
    answer_record.begin(files, read.made_of, masks.values())
    masks[1].write_bytes(b"half a file")
    assert worker(case).status == "done"
    assert set(np.unique(labels_of(masks[1]))) == {0, 1}
    assert worker(case).status == "skipped"


def test_a_file_of_an_object_comes_while_another_case_is_segmented(scans: Path, tmp_path: Path) -> None:
    """As of two workers whose scheduler has not asked check_distinct_answers."""
    options = RunOptions(str(tmp_path / "out"), template="{case}_{name}.nii.gz")
    first, second = (CaseWorker(options) for _ in range(2))
    (scans / "mr_b.nii.gz").write_bytes((scans / "mr.nii.gz").read_bytes())
    case = CaseSpec.of(str(scans / "mr_b.nii.gz"), [SPLEEN], names=["c"])
    files, read = read_by(second, case)
    found = second.segment(read)
    assert first(volume(scans, b_c=LIVER)).status == "done"
    before = snapshot(tmp_path / "out")
    with pytest.raises(Refused, match=r"mr_b_c.nii.gz, expected .*mr_b.json to list it"):
        second.write(files, read, found, CaseResult(case.file, ""))
    assert snapshot(tmp_path / "out") == before


def test_the_masks_of_objects_that_are_called_otherwise_now_are_removed(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert status(volume(scans, liver=LIVER, spleen=SPLEEN), per_object(out)) == "done"
    renamed = volume(scans, liver_left=LIVER, spleen=SPLEEN)
    assert status(renamed, per_object(out, if_different="redo")) == "done"
    assert sorted(path.name for path in (out / "mr").iterdir()) == ["liver_left.nii.gz", "spleen.nii.gz"]
    assert set(json.loads((out / "mr.json").read_text())["answers"]) == {"mr/liver_left.nii.gz", "mr/spleen.nii.gz"}
    assert status(renamed, per_object(out)) == "skipped"


def test_one_of_them_that_was_corrected_stays_and_is_told_of(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert status(volume(scans, liver=LIVER, spleen=SPLEEN), per_object(out)) == "done"
    liver = out / "mr" / "liver.nii.gz"
    content = corrected(liver, scans)
    renamed = volume(scans, liver_left=LIVER, spleen=SPLEEN)
    assert status(renamed, per_object(out, if_different="redo")) == "refused"
    notes: list[str] = []
    (end,) = segment([renamed], per_object(out, overwrite=True), note=notes.append)
    assert end.status == "done"
    assert liver.read_bytes() == content
    (told,) = [note for note in notes if str(liver) in note]
    assert "stays, as it was changed after it was written" in told
    assert any(note in told for note in json.loads((out / "mr.json").read_text())["notes"])


def test_another_template_is_another_answer(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    case = volume(scans, liver=LIVER)
    assert status(case, per_object(out)) == "done"
    other = RunOptions(str(out), template="{stem}_{label}.nii.gz")
    (end,) = segment([case], other)
    assert (end.status, "match this run in template" in end.message) == ("refused", True)


def test_a_record_lists_no_file_outside_the_folder_of_answers(scans: Path, tmp_path: Path) -> None:
    out, beside = tmp_path / "out", tmp_path / "beside.nii.gz"
    assert status(volume(scans, liver=LIVER), per_object(out)) == "done"
    beside.write_bytes(b"of somebody else")
    record = out / "mr.json"
    content = json.loads(record.read_text())
    digest = answer_record.file_digest(beside)
    content["answers"].update({"../beside.nii.gz": digest, str(beside): digest})
    record.write_text(json.dumps(content))
    assert status(volume(scans, other=LIVER), per_object(out, if_different="redo")) == "done"
    assert beside.read_bytes() == b"of somebody else"


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        (PurePosixPath("mr/liver.nii.gz"), True),
        (PurePosixPath("."), False),
        (PurePosixPath("../liver.nii.gz"), False),
        (PurePosixPath("/liver.nii.gz"), False),
        (PureWindowsPath("mr/liver.nii.gz"), True),
        (PureWindowsPath(r"..\liver.nii.gz"), False),
        (PureWindowsPath(r"C:\liver.nii.gz"), False),
        (PureWindowsPath("C:liver.nii.gz"), False),
        (PureWindowsPath(r"\liver.nii.gz"), False),
        (PureWindowsPath(r"\\host\share\liver.nii.gz"), False),
    ],
)
def test_a_place_inside_the_folder_of_answers(place: PurePath, inside: bool) -> None:
    assert answer_record.leads_inside(place) is inside
