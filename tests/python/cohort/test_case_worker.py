# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A worker does cases for any scheduler: the same answers wherever it runs, and a result whatever becomes of a case."""

import errno
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import Engine, InvalidArgument, ModelError, io

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import labels_of, noise, table_of, write_volume

from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RunOptions, read_cases, segment

pytestmark = pytest.mark.usefixtures("tiny_bundle")


def answers(folder: Path) -> dict[str, bytes]:
    """The label maps; records have times in them."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_worker_and_a_run_give_the_same_answers(scans: Path, tmp_path: Path) -> None:
    cases = read_cases(table_of(scans)).cases
    results = segment(cases, RunOptions(str(tmp_path / "run")))
    assert [(end.name, end.status) for end in results] == [(case.file, "done") for case in cases]
    worker = pickle.loads(pickle.dumps(CaseWorker(RunOptions(str(tmp_path / "worker")))))
    for case in reversed(cases):
        end = worker(case)
        assert end.status == "done"
        assert CaseResult.from_content(json.loads(json.dumps(end.content()))) == end
        assert worker(case).status == "skipped"
    assert answers(tmp_path / "worker") == answers(tmp_path / "run")
    assert len(answers(tmp_path / "run")) == 3


def test_what_is_wrong_with_a_case_is_in_its_result(scans: Path, tmp_path: Path) -> None:
    worker = CaseWorker(RunOptions(str(tmp_path / "out")))
    end = worker(CaseSpec.of(str(scans / "absent.png"), [[1, 2, 3, 4]]))
    assert (end.status, end.whole) == ("failed", False)
    assert "no such file" in end.message
    case = CaseSpec.of(str(scans / "us.png"), [[5, 6, 30, 40]])
    assert worker(case).status == "done"
    moved = CaseSpec.of(str(scans / "us.png"), [[5, 6, 30, 41]])
    before = answers(tmp_path / "out")
    assert worker(moved).status == "refused"
    assert answers(tmp_path / "out") == before


def test_a_model_that_cannot_be_loaded_is_no_fault_of_the_case(tmp_path: Path) -> None:
    worker = CaseWorker(RunOptions(str(tmp_path / "out"), bundle=str(tmp_path / "nowhere")))
    with pytest.raises(ModelError):
        worker(CaseSpec.of("a.png", [[1, 2, 3, 4]]))


def test_an_answer_of_other_boxes_is_made_again_where_that_is_asked(scans: Path, tmp_path: Path) -> None:
    options = RunOptions(str(tmp_path / "out"), if_different="redo")
    boxes = [[5, 6, 30, 40], [20, 10, 60, 47]]
    for box in boxes:
        (end,) = segment([CaseSpec.of(str(scans / "us.png"), [box])], options)
        assert end.status == "done"
    record = json.loads((tmp_path / "out" / "us.png.json").read_text())
    assert record["made_of"]["objects"] == [[1, "", False, 20, 10, 60, 47]]
    assert set(record["ran"]) == {"kernels", "encoder", "decoder", "threads"}
    answer = tmp_path / "out" / "us.png"
    answer.write_bytes(answer.read_bytes() + b"\0")  # somebody's work is not ours to replace
    (end,) = segment([CaseSpec.of(str(scans / "us.png"), [boxes[0]])], options)
    assert (end.status, "changed after it was written" in end.message) == ("refused", True)


def test_a_file_per_object(scans: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "out"
    options = RunOptions(str(out), template="{case}/{name}.nii.gz")
    boxes = [[4, 5, 1, 20, 19, 3], [22, 3, 2, 30, 12, 4]]
    case = CaseSpec.of(str(scans / "mr.nii.gz"), boxes, names=["liver", "left/kidney"])
    assert [end.status for end in segment([case], options)] == ["done"]
    engine = Engine(tiny_bundle, cache_dir=tmp_path / "cache")
    whole = engine.segment_volume(io.read(scans / "mr.nii.gz").array, boxes)
    for label, name in ((1, "liver"), (2, "left_kidney")):
        np.testing.assert_array_equal(labels_of(out / "mr" / f"{name}.nii.gz"), np.where(whole == label, label, 0))
    assert [end.status for end in segment([case], options)] == ["skipped"]
    (out / "mr" / "liver.nii.gz").unlink()
    assert [end.status for end in segment([case], options)] == ["done"]
    (out / "mr.json").unlink()
    assert [end.status for end in segment([case], options)] == ["refused"]
    same = CaseSpec.of(str(scans / "mr.nii.gz"), boxes, names=["liver", "Liver"])
    (end,) = segment([same], RunOptions(str(tmp_path / "same"), template="{case}/{name}.nii.gz"))
    assert "for the labels 1 and 2" in end.message


def test_boxes_from_a_label_map_and_from_inside(scans: Path, tmp_path: Path) -> None:
    (end,) = segment([CaseSpec.of(str(scans / "mr.nii.gz"), [[4, 5, 1, 20, 19, 3]])], RunOptions(str(tmp_path / "one")))
    assert end.measured[0].voxels
    mask = tmp_path / "one" / "mr.nii.gz"
    case = CaseSpec.of(str(scans / "mr.nii.gz"), boxes_from=str(mask))
    out = RunOptions(str(tmp_path / "two"))
    assert [end.status for end in segment([case], out)] == ["done"]
    assert [end.status for end in segment([case], out)] == ["skipped"]
    io.write(mask, np.roll(labels_of(mask), 2, axis=1), io.read(scans / "mr.nii.gz"))
    (end,) = segment([case], out)
    assert "match this run in boxes_from" in end.message
    np.savez(tmp_path / "2DBox_US_a.npz", imgs=noise(48, 64, 3), boxes=np.array([[5, 6, 30, 48]]))
    (end,) = segment([CaseSpec.of(str(tmp_path / "2DBox_US_a.npz"))], RunOptions(str(tmp_path / "three")))
    assert (end.status, end.message) == ("done", "")
    (end,) = segment([CaseSpec.of(str(scans / "us.png"))], RunOptions(str(tmp_path / "three")))
    assert "only NPZ files hold their own" in end.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"output_format": "jpg"},
        {"template": "{case}.jpg"},
        {"template": "{case}/{organ}.nii.gz"},
        {"template": "{name}.nii.gz"},
        {"template": "../{case}.nii.gz"},
        {"template": "{case}.nii.gz", "output_format": "nii"},
        {"if_different": "perhaps"},
        {"reproducible": True, "precision": "bf16"},
        {"window": "liver"},
    ],
)
def test_options_are_checked_before_anything_runs(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        segment([CaseSpec.of("a.png", [[1, 2, 3, 4]])], RunOptions(str(tmp_path / "out"), **wrong))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_volume_is_written_while_the_next_is_segmented_and_none_is_lost(scans: Path, tmp_path: Path) -> None:
    for k in range(6):
        write_volume(scans / f"v{k}.nii.gz", seed=k)
    cases = [CaseSpec.of(str(scans / f"v{k}.nii.gz"), [[4, 5, 1, 20, 19, 3]]) for k in range(6)]
    told: list[str] = []
    results = segment(cases, RunOptions(str(tmp_path / "out")), finished=lambda end: told.append(end.name))
    assert told == [case.file for case in cases] == [end.name for end in results]
    assert sorted(answers(tmp_path / "out")) == [f"v{k}.nii.gz" for k in range(6)]


def test_what_a_killed_run_left_of_a_finished_case_is_cleared(scans: Path, tmp_path: Path) -> None:
    """Killed between the record and the ledger, which is written last."""
    options, case = RunOptions(str(tmp_path / "out")), CaseSpec.of(str(scans / "us.png"), [[5, 6, 30, 40]])
    worker = CaseWorker(options)
    assert worker(case).status == "done"
    record = worker.files(case).record
    worker.ledger.begin(record, case.file, "key")
    assert worker(case).status == "skipped"
    assert worker.ledger.standing(record) is None


def test_a_ledger_that_cannot_be_written_ends_no_run(scans: Path, tmp_path: Path) -> None:
    """A full disk, or one that is read-only by now; a folder in the place of the file stands for it."""
    options = RunOptions(str(tmp_path / "out"))
    cases = [CaseSpec.of(str(scans / name), [[5, 6, 30, 40]]) for name in ("us.png", "gone.png")]
    worker = CaseWorker(options)
    place = tmp_path / "out" / ".medsam-run" / "us.png.json"
    place.mkdir(parents=True)
    first, _ = segment(cases, options)
    assert (first.status, f"got {place}, expected a writable file" in first.message) == ("failed", True)
    assert list(place.parent.iterdir()) == [place], "no temporary stays"
    record = worker.files(cases[0]).record
    assert worker.ledger.fail(record, "us.png", "no space left").failed == 1
    worker.ledger.leave(record)
    worker.ledger.clear(record)


def test_finished_answers_in_a_folder_that_is_read_only_are_skipped(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, case = RunOptions(str(tmp_path / "out")), CaseSpec.of(str(scans / "us.png"), [[5, 6, 30, 40]])
    assert CaseWorker(options)(case).status == "done"

    def unlink(path: Path, **_more: bool) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)  # says so of absent files, too
    assert CaseWorker(options)(case).status == "skipped"
