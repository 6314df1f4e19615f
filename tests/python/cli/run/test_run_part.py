# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` over a part of the cases, a plan of them, lines for programs, and kernels that are pinned."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import ROWS, snapshot, table_of

from medsam_engine.cli.app import run

pytestmark = pytest.mark.usefixtures("tiny_bundle")


def test_shards_together_are_the_whole_run(scans: Path, tmp_path: Path) -> None:
    table, out = table_of(scans), tmp_path / "out"
    for index in (1, 2):
        assert run(["run", str(table), str(out), "--shard", f"{index}/2", "-q"]) == 0
    assert run(["run", str(table), str(tmp_path / "whole"), "-q"]) == 0
    parts, whole = (
        {name: content for name, (content, _) in snapshot(folder).items() if not name.endswith(".json")}
        for folder in (out, tmp_path / "whole")
    )
    assert parts == whole


def test_a_limit_counts_what_is_done(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    table, out = table_of(scans), tmp_path / "out"
    for done in range(3):
        assert run(["run", str(table), str(out), "--limit", "1", "--resume"]) == 0
        assert f"1 case done, {done} skipped" in errors()[-1]
    assert run(["run", str(table), str(out), "--limit", "1"]) == 0
    assert "0 cases done, 3 skipped" in errors()[-1]


def test_a_plan_changes_nothing(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    table, out = table_of(scans), tmp_path / "out"
    assert run(["run", str(table), str(out), "--dry-run"]) == 0
    lines = errors()
    assert lines[-1] == "3 to do, 0 finished, 0 refused, failed or quarantined"
    assert f"pending scans/us.png -> {out / 'scans' / 'us.png'}" in lines
    assert not out.exists()
    assert run(["run", str(table_of(scans, ROWS[1])), str(out), "-q"]) == 0
    before = snapshot(out)
    table_of(scans, ROWS[0], "scans/us.png,lesion,1,1,,9,9,", "scans/absent.png,x,1,1,,9,9,")
    assert run(["run", str(table), str(out), "--dry-run"]) == 1
    assert errors()[-1] == "1 to do, 0 finished, 2 refused, failed or quarantined"
    assert snapshot(out) == before


def test_lines_for_programs(scans: Path, tmp_path: Path, errors: Callable[[], list[str]]) -> None:
    table = table_of(scans, ROWS[0], "scans/absent.png,x,1,1,,9,9,")
    assert run(["run", str(table), str(tmp_path / "out"), "--progress", "jsonl"]) == 1
    lines = [json.loads(line) for line in errors()]
    assert [(line["case"], line["cases"]) for line in lines if line["event"] == "begin"] == [
        ("scans/mr.nii.gz", 2),
        ("scans/absent.png", 2),
    ]
    ended = {line["name"]: line for line in lines if line["event"] == "case"}
    assert (ended["scans/mr.nii.gz"]["status"], ended["scans/absent.png"]["status"]) == ("done", "failed")
    assert ended["scans/mr.nii.gz"]["measured"][0]["name"] == "liver"
    assert lines[-1]["event"] == "summary"
    assert (lines[-1]["done"], lines[-1]["failed"], lines[-1]["quarantined"]) == (1, 1, [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shard", "3/2"], "--shard"),
        (["--progress", "dots"], "--progress"),
        (["--template", "{organ}.nii.gz"], "--template"),
        (["--reproducible", "--precision", "bf16"], "--reproducible"),
        (["--if-different", "maybe"], "--if-different"),
    ],
)
def test_wrong_options_are_one_line(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], options: list[str], words: str
) -> None:
    assert run(["run", str(table_of(scans)), str(tmp_path / "out"), *options]) == 2
    assert words in only_error()
    assert not (tmp_path / "out").exists()


def test_reproducible_pins_precision_and_kernels(scans: Path, tmp_path: Path) -> None:
    """In a process of its own: kernels are chosen once."""
    environment = {name: value for name, value in os.environ.items() if name != "MEDSAM_ENGINE_SIMD"}
    table, out = table_of(scans, ROWS[0]), tmp_path / "out"

    def result_of(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "medsam_engine", "run", str(table), str(out), "-q", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    result = result_of("--reproducible")
    assert result.returncode == 0, result.stderr
    record = json.loads((out / "scans" / "mr.nii.gz.json").read_text())
    assert record["ran"]["kernels"] in ("AVX2", "NEON")
    assert record["made_of"]["kernels"] == record["ran"]["kernels"]
    assert record["made_of"]["precision"].split("/")[0].startswith("f32")
    assert result_of("--reproducible").returncode == 0
    # What other kernels have made, or may have, is not what was asked for.
    result = result_of("--precision", "f32")
    assert (result.returncode, "match this run in kernels" in result.stderr) == (1, True), result.stderr
    assert result_of("--precision", "f32", "--overwrite").returncode == 0
    result = result_of("--reproducible")
    assert (result.returncode, "match this run in kernels" in result.stderr) == (1, True), result.stderr
