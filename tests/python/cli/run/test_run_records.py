# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` over a table: which answers are skipped, and that no other's is taken for a case's own."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import Engine, Segmentation

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import ROWS, noise, snapshot, table_of, write_volume

from medsam_engine.cli.app import run

pytestmark = pytest.mark.usefixtures("tiny_bundle")


def test_a_finished_case_is_skipped_and_its_objects_are_told(
    scans: Path, tmp_path: Path, errors: Callable[[], list[str]]
) -> None:
    table, out, objects = table_of(scans), tmp_path / "out", tmp_path / "objects.csv"
    assert run(["run", str(table), str(out), "--objects", str(objects)]) == 0
    before, told = snapshot(out), objects.read_text()
    assert run(["run", str(table), str(out), "--objects", str(objects)]) == 0
    assert "0 cases done, 3 skipped, 0 failed" in errors()[-1]
    assert snapshot(out) == before
    assert objects.read_text() == told
    (out / "scans" / "us.png").unlink()
    assert run(["run", str(table), str(out)]) == 0
    assert "1 case done, 2 skipped, 0 failed" in errors()[-1]
    assert run(["run", str(table), str(out), "--overwrite"]) == 0
    assert "3 cases done, 0 skipped, 0 failed" in errors()[-1]
    assert {name: content for name, (content, _) in snapshot(out).items() if not name.endswith(".json")} == {
        name: content for name, (content, _) in before.items() if not name.endswith(".json")
    }


def other_image(scans: Path, _out: Path) -> list[str]:
    """Of the same size and time."""
    path = scans / "mr.nii.gz"
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return []


def other_box(scans: Path, _out: Path) -> list[str]:
    table_of(scans, "scans/mr.nii.gz,liver,4,5,1,20,19,2")
    return []


def edited_answer(_scans: Path, out: Path) -> list[str]:
    path = out / "scans" / "mr.nii.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    return []


def no_record(_scans: Path, out: Path) -> list[str]:
    (out / "scans" / "mr.nii.gz.json").unlink()
    return []


def no_json(_scans: Path, out: Path) -> list[str]:
    (out / "scans" / "mr.nii.gz.json").write_text("[" * 100000)
    return []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_image, "match this run in input"),
        (other_box, "match this run in objects"),
        (edited_answer, "was changed"),
        (no_record, "expected a record"),
        (no_json, "expected a record"),
        (lambda *_: ["--window", "full"], "match this run in window"),
        (lambda *_: ["--modality", "MR"], "match this run in modality"),
        (lambda *_: ["--profile", "medsam"], "profile"),
    ],
)
def test_an_answer_of_anything_else_is_not_taken_for_this_one(
    scans: Path,
    tmp_path: Path,
    only_error: Callable[[], str],
    change: Callable[[Path, Path], list[str]],
    words: str,
) -> None:
    table, out = table_of(scans, ROWS[0]), tmp_path / "out"
    assert run(["run", str(table), str(out), "-q"]) == 0
    options = change(scans, out)
    before = snapshot(out)
    assert run(["run", str(table), str(out), "-q", *options]) == 1
    line = only_error()
    assert words in line
    assert "--overwrite" in line
    assert snapshot(out) == before
    if change is not other_image:  # whose file is damaged
        assert run(["run", str(table), str(out), "-q", "--overwrite", *options]) == 0
        assert run(["run", str(table), str(out), "-q", *options]) == 0


def test_an_unfinished_answer_is_made_again(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    """A process that was killed between the two leaves the label map beside the record that says "unfinished"."""
    table, out = table_of(scans, ROWS[0]), tmp_path / "out"
    assert run(["run", str(table), str(out), "-q"]) == 0
    record = out / "scans" / "mr.nii.gz.json"
    content = json.loads(record.read_text())
    whole = (out / "scans" / "mr.nii.gz").read_bytes()
    record.write_text(json.dumps({"schema": 1, "status": "unfinished", "made_of": content["made_of"]}))
    (out / "scans" / "mr.nii.gz").write_bytes(b"an older one")
    assert run(["run", str(table), str(out)]) == 0
    assert "1 case done" in errors()[-1]
    assert (out / "scans" / "mr.nii.gz").read_bytes() == whole
    assert json.loads(record.read_text())["status"] == "done"


@pytest.mark.parametrize(
    "content", [b'{"annotations": "of a week"}', b"", pytest.param(None, marks=pytest.mark.needs("links"))]
)
def test_a_file_of_a_records_name_that_is_none_is_kept(
    scans: Path, tmp_path: Path, errors: Callable[[], list[str]], content: bytes | None
) -> None:
    """Other programs write NAME.png.json, too; None: a link that leads nowhere."""
    table, out = table_of(scans, ROWS[1]), tmp_path / "out"
    record = out / "scans" / "us.png.json"
    record.parent.mkdir(parents=True)
    if content is None:
        record.symlink_to(tmp_path / "elsewhere.json")
    else:
        record.write_bytes(content)
    before = snapshot(out)
    assert run(["run", str(table), str(out), "-q"]) == 1
    assert "us.png.json, which is no record of this command" in errors()[0]
    assert snapshot(out) == before
    assert record.is_symlink() == (content is None)
    assert run(["run", str(table), str(out), "-q", "--overwrite"]) == 0
    assert json.loads(record.read_text())["status"] == "done"


def test_a_file_that_changes_meanwhile_gets_no_answer(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Engine.segment_volume_objects

    def segment_volume_objects(self: Engine, *arguments: object, **options: object) -> Segmentation:
        write_volume(scans / "mr.nii.gz", seed=6)
        return original(self, *arguments, **options)  # type: ignore[arg-type]  # passes on what it was given

    monkeypatch.setattr(Engine, "segment_volume_objects", segment_volume_objects)
    assert run(["run", str(table_of(scans, ROWS[0])), str(tmp_path / "out"), "-q"]) == 1
    assert "it changed while it was segmented" in only_error()
    assert not list((tmp_path / "out" / "scans").iterdir())


def test_an_answer_of_a_table_is_not_that_of_a_folder(
    scans: Path, tmp_path: Path, errors: Callable[[], list[str]]
) -> None:
    """The boxes of a table are not those in the NPZ case, so its answer is no finished one."""
    cases, out = tmp_path / "cases", tmp_path / "out"
    cases.mkdir()
    np.savez(cases / "2DBox_a.npz", imgs=noise(48, 64, 3), boxes=np.array([[5, 6, 30, 40]]))
    np.savez(scans.parent / "2DBox_a.npz", imgs=noise(48, 64, 3), boxes=np.array([[5, 6, 30, 40]]))
    assert run(["run", str(table_of(scans, "2DBox_a.npz,lesion,20,10,,60,47,")), str(out)]) == 0
    before = snapshot(out)
    assert run(["run", str(cases), str(out)]) == 2
    assert "2DBox_a.npz.json, which a table of cases left beside its answer" in errors()[-1]
    assert snapshot(out) == before
    assert run(["run", str(cases), str(out), "--overwrite"]) == 0
    assert (out / "2DBox_a.npz").read_bytes() != before["2DBox_a.npz"][0]
    assert run(["run", str(table_of(scans, "2DBox_a.npz,lesion,20,10,,60,47,")), str(out)]) == 1
