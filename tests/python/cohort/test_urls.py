# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases and answers at URLs: the same answers as here, finished ones not fetched again, nothing left behind."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec", reason="the extra [cloud] is not installed")
pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import ROWS, table_of

from medsam_engine.cohort import CaseSpec, CaseWorker, RunOptions, read_cases, segment
from medsam_engine.errors import InvalidArgument

pytestmark = pytest.mark.usefixtures("tiny_bundle")


@pytest.fixture
def memory(scans: Path) -> Iterator[Any]:
    """The scans at memory://archive/scans."""
    files = fsspec.filesystem("memory")
    files.put(str(scans), "/archive/scans", recursive=True)
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture
def tagged(memory: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """With a tag of the content for each object, as stores have it."""
    original = type(memory).info

    def info(self: Any, path: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = original(self, path, **more)
        if found["type"] == "file":
            found["ETag"] = hashlib.md5(self.cat_file(path)).hexdigest()
        return found

    monkeypatch.setattr(type(memory), "info", info)
    return memory


@pytest.fixture
def fetched(memory: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that were fetched."""
    places: list[str] = []
    original = type(memory).get

    def get(self: Any, place: str, *rest: object, **more: object) -> None:
        places.append(place)
        original(self, place, *rest, **more)

    monkeypatch.setattr(type(memory), "get", get)
    return places


def at_urls(scans: Path) -> list[CaseSpec]:
    return [
        CaseSpec(case.file, f"memory://archive/{case.file}", case.objects) for case in read_cases(table_of(scans)).cases
    ]


def test_answers_at_a_url_are_those_that_a_folder_has(scans: Path, tmp_path: Path, memory: Any) -> None:
    segment(str(table_of(scans)), RunOptions(str(tmp_path / "here")))
    results = segment(at_urls(scans), RunOptions("memory://answers/run"))
    assert [end.status for end in results] == ["done"] * 3
    assert results[0].answer == "memory://answers/run/scans/mr.nii.gz"
    for path in (tmp_path / "here" / "scans").iterdir():
        content = memory.cat_file(f"/answers/run/scans/{path.name}")
        assert content == path.read_bytes() or path.suffix == ".json"
    assert len(memory.find("/answers")) == 6, "three answers, three records and no ledger"


def test_a_finished_case_is_not_fetched_again(scans: Path, tagged: Any, fetched: list[str]) -> None:
    cases, options = at_urls(scans)[:2], RunOptions("memory://answers/run")
    segment(cases, options)
    fetched.clear()
    assert [end.status for end in segment(cases, options)] == ["skipped"] * 2
    assert fetched == []
    tagged.pipe_file("/archive/scans/us.png", tagged.cat_file("/archive/scans/us.png") + b"x")
    ends = segment(cases, options)
    assert [end.status for end in ends] == ["skipped", "refused"]
    assert ends[1].message.startswith(
        "answer: got memory://answers/run/scans/us.png, which does not match this run in input"
    )
    assert fetched == ["/archive/scans/us.png"]
    tagged.rm("/answers/run/scans/mr.nii.gz")
    assert [end.status for end in segment(cases, options)] == ["done", "refused"]


def test_a_time_and_a_size_do_not_make_an_image_the_same(scans: Path, memory: Any, fetched: list[str]) -> None:
    case, options = at_urls(scans)[0], RunOptions("memory://answers/run")
    segment([case], options)
    (place,) = set(fetched)
    assert [end.status for end in segment([case], options)] == ["skipped"]
    assert fetched == [place] * 2
    before = memory.store[place]
    content = bytearray(before.getvalue())
    content[-9] ^= 1  # in gzip's checksum: of another image, as far as anyone can tell
    memory.pipe_file(place, bytes(content))
    memory.store[place].created = before.created
    memory.store[place].modified = before.modified
    assert [end.status for end in segment([case], options)] == ["refused"]


@pytest.mark.parametrize("last", ["/scans/mr.nii.gz", "/scans/mr.nii.gz.json"])
def test_a_run_that_was_killed_while_it_sent_goes_on(
    scans: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Also over an answer of other options, which the record must not be taken for."""
    case = at_urls(scans)[0]
    first, options = RunOptions("memory://answers"), RunOptions("memory://answers", window="200,0", overwrite=True)
    assert [end.status for end in segment([case], first)] == ["done"]
    original = type(memory).put_file

    def put_file(self: Any, path: str, place: str) -> None:
        if place == f"/answers{last}":
            raise OSError("the wall time is over")
        original(self, path, place)

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", put_file)
        assert [end.status for end in segment([case], options)] == ["failed"]
    record = "/answers/scans/mr.nii.gz.json"
    assert json.loads(memory.cat_file(record))["status"] == "unfinished"
    assert [end.status for end in segment([case], replace(options, overwrite=False))] == ["done"]
    assert json.loads(memory.cat_file(record))["status"] == "done"


@pytest.mark.parametrize(
    "place", ["s3://key:secret@bucket/answers", "s3://bucket/answers?secret", "s3://bucket/a#secret"]
)
def test_a_url_with_a_secret_is_refused(place: str) -> None:
    for refused in (lambda: CaseWorker(RunOptions(place)), lambda: CaseSpec.of(place, [[1, 2, 3, 4]])):
        with pytest.raises(InvalidArgument, match="got a URL of s3:// with") as caught:
            refused()
        assert "secret" not in str(caught.value)
    with pytest.raises(InvalidArgument) as caught:
        CaseSpec.from_content({"file": place, "path": place})
    assert "secret" not in str(caught.value)


def test_a_url_that_holds_nothing_is_a_failed_case_and_counted(memory: Any) -> None:
    del memory
    case = CaseSpec.of("memory://archive/absent.png", [[1, 2, 3, 4]])
    worker = CaseWorker(RunOptions("memory://answers"))
    end = worker(case)
    assert (end.status, "absent.png" in end.message) == ("failed", True)
    end = worker(CaseSpec.of("nosuchscheme://archive/a.png", [[1, 2, 3, 4]]))
    assert (end.status, "nosuchscheme" in end.message) == ("failed", True)


def test_a_file_per_object_at_a_url(scans: Path, memory: Any) -> None:
    options = RunOptions("memory://answers", template="{case}/{name}.nii.gz")
    (case,) = [case for case in at_urls(scans) if case.file.endswith("mr.nii.gz")]
    assert [end.status for end in segment([case], options)] == ["done"]
    assert sorted(memory.find("/answers")) == ["/answers/scans/mr.json", "/answers/scans/mr/liver.nii.gz"]
    assert [end.status for end in segment([case], options)] == ["skipped"]


def test_a_mask_of_former_objects_at_a_url_is_removed(scans: Path, memory: Any) -> None:
    options = RunOptions("memory://answers", template="{case}/{name}.nii.gz", if_different="redo")
    (case,) = [case for case in at_urls(scans) if case.file.endswith("mr.nii.gz")]
    assert [end.status for end in segment([case], options)] == ["done"]
    renamed = replace(case, objects=tuple(replace(row, name=f"{row.name}_left") for row in case.objects))
    assert [end.status for end in segment([renamed], options)] == ["done"]
    assert sorted(memory.find("/answers")) == ["/answers/scans/mr.json", "/answers/scans/mr/liver_left.nii.gz"]
    assert [end.status for end in segment([renamed], options)] == ["skipped"]


@pytest.mark.parametrize("again", [False, True])
def test_a_mask_of_somebody_else_at_a_url_stays(scans: Path, memory: Any, again: bool) -> None:
    """Whether the case has a record there, of other objects, or none."""
    options = RunOptions("memory://answers", template="{case}/{name}.nii.gz", if_different="redo")
    (case,) = [case for case in at_urls(scans) if case.file.endswith("mr.nii.gz")]
    if again:
        assert [end.status for end in segment([case], options)] == ["done"]
        (only,) = case.objects
        case = replace(case, objects=(only, replace(only, label=2, name="spleen")))
    name = "spleen" if again else "liver"
    memory.pipe_file(f"/answers/scans/mr/{name}.nii.gz", b"drawn by hand")
    (end,) = segment([case], options)
    assert (end.status, f"{name}.nii.gz" in end.message) == ("refused", True)
    assert memory.cat_file(f"/answers/scans/mr/{name}.nii.gz") == b"drawn by hand"
    assert [end.status for end in segment([case], replace(options, overwrite=True))] == ["done"]


def test_the_command_takes_urls(scans: Path, tmp_path: Path) -> None:
    """Its runs have processes of their own, so that a file system in memory would end with them."""
    pytest.importorskip("typer", reason="typer is not in a thin installation")
    from medsam_engine.cli.app import run

    segment(str(table_of(scans)), RunOptions(str(tmp_path / "here")))
    table = table_of(scans, f"file://{scans}/us.png,lesion,5,6,,30,40,", *ROWS[:1])
    answers = tmp_path / "there"
    assert run(["run", str(table), f"file://{answers}", "-q"]) == 0
    assert (answers / "scans/mr.nii.gz").read_bytes() == (tmp_path / "here/scans/mr.nii.gz").read_bytes()

    def written() -> dict[str, bytes]:
        return {str(path.relative_to(answers)): path.read_bytes() for path in answers.rglob("*") if path.is_file()}

    before = written()
    assert sorted(before) == ["scans/mr.nii.gz", "scans/mr.nii.gz.json", "us.png", "us.png.json"]
    assert run(["run", str(table), "-o", f"file://{answers}", "-q"]) == 0
    assert written() == before
    assert run(["run", str(table), "memory://answers", "-q"]) == 2
