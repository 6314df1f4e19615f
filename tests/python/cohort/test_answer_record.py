# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Records beside answers that other runs, people and other options have touched: no mask is lost or mistaken."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import permutations
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import snapshot

from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RunOptions, answer_record, segment
from medsam_engine.cohort.answer_paths import CaseFiles, files_of
from medsam_engine.cohort.answer_record import Refused
from medsam_engine.cohort.segment_case import ReadCase

pytestmark = pytest.mark.usefixtures("tiny_bundle")

LIVER, SPLEEN = [4, 5, 1, 20, 19, 3], [22, 3, 2, 30, 12, 4]


def volume(scans: Path, **boxes: list[int]) -> CaseSpec:
    """The volume with these objects."""
    return CaseSpec.of(str(scans / "mr.nii.gz"), list(boxes.values()), names=list(boxes))


def status(case: CaseSpec, options: RunOptions) -> str:
    (end,) = segment([case], options)
    return end.status


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
    with pytest.raises(Refused, match="another objects"):
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
