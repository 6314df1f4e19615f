# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` in a process of its own: a case that ends it is put aside and told, and the rest is done."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import ROWS, table_of, write_volume

from medsam_engine.cli.app import run as run_here
from medsam_engine.cli.own_process import OWN_PROCESS
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.ledger import Ledger
from medsam_engine.cohort.supervision import RunReports

pytestmark = pytest.mark.usefixtures("tiny_bundle")
POISONED = Path(__file__).parents[1] / "support" / "poisoned_run.py"
PATIENCE_S = 60  # a bound for a hung process, not a measure of speed


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(POISONED), "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def events(result: subprocess.CompletedProcess[str], kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == kind]


def poison(scans: Path, name: str) -> str:
    shutil.copy(scans / "us.png", scans / name)
    return f"scans/{name},lesion,5,6,,30,40,"


@pytest.mark.needs("fork")
@pytest.mark.parametrize(("name", "reason"), [("killed.png", "SIGKILL"), ("fault.png", "SIGSEGV"),
                                              ("exits.png", "status 0"), ("touched.png", "SIGKILL")])  # fmt: skip
@pytest.mark.parametrize("tries", [1, 2])
def test_a_case_that_ends_its_process_is_put_aside_and_the_rest_is_done(
    scans: Path, tmp_path: Path, name: str, reason: str, tries: int
) -> None:
    table, out = table_of(scans, ROWS[0], poison(scans, name), ROWS[1], ROWS[2]), tmp_path / "out"
    times = tmp_path / "times.csv"
    result = run(table, out, "--tries", tries, "--csv", times, "--json")
    assert result.returncode == 1, result.stderr
    assert f"quarantined, to be tried again with --retry-failed: scans/{name}" in result.stderr
    assert "3 cases done, 0 skipped, 1 failed" in result.stderr
    assert result.stderr.count(f"quarantined after {tries} tries: ") == 1
    assert reason in result.stderr
    told = {case["case"]: case for case in json.loads(result.stdout)["cases"]}
    assert {case: told[case]["status"] for case in told} == {
        "scans/mr.nii.gz": "done", "scans/us.png": "done", "scans/ct": "done", f"scans/{name}": "failed"
    }  # fmt: skip
    assert len(times.read_text().splitlines()) == 5
    assert sorted(path.name for path in (out / "scans").iterdir() if path.suffix != ".json") == [
        "ct.nii.gz", "mr.nii.gz", "us.png"
    ]  # fmt: skip

    if name == "touched.png":
        return  # it looks changed, and is tried again by another run
    again = run(table, out, "--tries", tries)
    assert again.returncode == 1
    assert "0 cases done, 3 skipped, 1 failed" in again.stderr
    assert "--retry-failed tries it again" in again.stderr


@pytest.mark.needs("fork")
def test_a_failure_is_tried_again_until_it_is_put_aside(scans: Path, tmp_path: Path) -> None:
    (scans / "cut.nii.gz").write_bytes((scans / "mr.nii.gz").read_bytes()[:300])
    table, out = table_of(scans, ROWS[1], "scans/cut.nii.gz,x,1,1,1,2,2,2"), tmp_path / "out"
    for _ in range(2):
        result = run(table, out, "-q")
        assert result.returncode == 1
        assert "--retry-failed tries it" not in result.stderr
    assert "quarantined after 2 tries" in run(table, out, "-q").stderr
    retried = run(table, out, "-q", "--retry-failed")
    assert retried.returncode == 1
    assert "quarantined after" not in retried.stderr
    write_volume(scans / "cut.nii.gz", seed=7)  # another file is another case
    assert run(table, out, "-q").returncode == 0
    assert not [path for path in (out / ".medsam-run").rglob("*") if path.is_file()]


def test_without_fork_a_run_is_in_its_own_process_and_has_no_limits(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(os, "fork", raising=False)  # as on Windows
    arguments = ["run", str(table_of(scans, ROWS[1])), str(tmp_path / "out")]
    for limit in (["--case-timeout", "10"], ["--case-memory", "1000"]):
        assert run_here([*arguments, *limit], process=OWN_PROCESS) == 2
        assert "got a limit on a system without fork" in capsys.readouterr().err
    assert run_here(arguments, process=OWN_PROCESS) == 0
    assert (tmp_path / "out" / "scans" / "us.png").is_file()


@pytest.mark.needs("fork")
def test_limits_of_time_and_memory(scans: Path, tmp_path: Path) -> None:
    table = table_of(scans, ROWS[0], poison(scans, "stuck.png"), ROWS[2], poison(scans, "large.png"), ROWS[1])
    options = ("--case-timeout", "10", "--case-memory", 1 << 30, "--tries", 1, "--progress", "jsonl")
    result = run(table, tmp_path / "out", *options)
    assert result.returncode == 1, result.stderr
    ended = {event["name"]: event for event in events(result, "case")}
    assert {name: event["status"] for name, event in ended.items()} == {
        "scans/mr.nii.gz": "done", "scans/stuck.png": "failed", "scans/ct": "done", "scans/large.png": "failed",
        "scans/us.png": "done",
    }  # fmt: skip
    assert "--case-timeout" in ended["scans/stuck.png"]["message"]
    assert "--case-memory" in ended["scans/large.png"]["message"]
    (summary,) = events(result, "summary")
    assert summary["quarantined"] == ["scans/stuck.png", "scans/large.png"]
    assert (summary["done"], summary["failed"]) == (3, 2)


@pytest.mark.needs("fork")
def test_an_image_at_a_url_that_ends_its_process_is_put_aside_and_leaves_nothing(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec", reason="the extra [cloud] is not installed")
    poison(scans, "killed.png")
    rows = [f"file://{scans}/{name},lesion,5,6,,30,40," for name in ("killed.png", "us.png")]
    table, out = table_of(scans, *rows), tmp_path / "out"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    result = run(table, out)
    assert result.returncode == 1, result.stderr
    assert result.stderr.count("quarantined after 2 tries: ") == 1
    assert "1 case done, 0 skipped, 1 failed" in result.stderr
    again = run(table, out)
    assert "--retry-failed tries it again" in again.stderr, "the copy that was fetched has another time"
    assert list(temporary.iterdir()) == []


@pytest.mark.needs("fork")
def test_a_case_that_is_never_fetched_is_above_its_time(scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="the extra [cloud] is not installed")
    poison(scans, "unfetched.png")
    table = table_of(scans, ROWS[1], f"file://{scans}/unfetched.png,lesion,5,6,,30,40,", ROWS[0])
    result = run(table, tmp_path / "out", "--case-timeout", "5", "--tries", 2)
    assert result.returncode == 1, result.stderr
    assert "quarantined after 2 tries: took more than 5 s (--case-timeout)" in result.stderr
    assert "2 cases done, 0 skipped, 1 failed" in result.stderr


@pytest.mark.needs("fork")
def test_a_case_that_may_have_ended_an_earlier_run_is_done_alone(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsam_engine.cli.app import run as run_here
    from medsam_engine.cli.run import table_command

    alone: list[Any] = []

    class Seen(CaseRun):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            alone.append(options["alone"])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(table_command, "CaseRun", Seen)
    monkeypatch.setattr(table_command, "supervised", lambda *_options: RunReports())
    out = tmp_path / "out"
    Ledger(out).fail(out / "scans" / "us.png.json", "scans/us.png", "its process has ended")
    assert run_here(["run", str(table_of(scans)), str(out), "-q"]) == 0
    assert alone == [{"scans/us.png"}]


@pytest.mark.needs("fork")
def test_a_run_that_is_killed_with_its_parent_counts_what_was_at_work(scans: Path, tmp_path: Path) -> None:
    table, out = table_of(scans, ROWS[0], poison(scans, "stuck.png")), tmp_path / "out"
    place = out / ".medsam-run" / "scans" / "stuck.png.json"
    for kill in range(1, 3):
        process = subprocess.Popen([sys.executable, str(POISONED), "run", str(table), str(out), "-q"])
        deadline = time.monotonic() + PATIENCE_S
        while not place.exists() or json.loads(place.read_text())["killed"] != kill - 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
        while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
            assert time.monotonic() < deadline, "the run goes on without its parent"
    assert json.loads(place.read_text())["at_work"] is True


@pytest.mark.needs("fork")
def test_killed_runs_put_a_case_aside_later_than_its_own_ends(tmp_path: Path) -> None:
    ledger, record = Ledger(tmp_path), tmp_path / "a.png.json"
    for _ in range(6):
        assert not ledger.begin(record, "a.png", "key").quarantined(2)
    assert ledger.begin(record, "a.png", "key").quarantined(2)
    assert ledger.begin(record, "a.png", "another input").killed == 0
    ledger.leave(record)
    assert ledger.begin(record, "a.png", "another input").killed == 0
    assert not ledger.fail(record, "a.png", "why").quarantined(2)
    assert ledger.fail(record, "a.png", "why").quarantined(2)
    ledger.clear(record)
    assert ledger.standing(record) is None


@pytest.mark.needs("fork")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_is_one_signal(
    scans: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """As a terminal sends Ctrl-C, and a scheduler SIGTERM; the case at work has no try less."""
    table, out = table_of(scans, ROWS[1], ROWS[0], ROWS[2]), tmp_path / "out"
    command = [sys.executable, str(POISONED), "run", str(table), str(out), "-q"]
    environment = {**os.environ, "PAUSED": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment)
    place = out / ".medsam-run" / "scans" / "mr.nii.gz.json"
    deadline = time.monotonic() + PATIENCE_S
    while not place.exists() or not (out / "scans" / "us.png.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, err
    assert err.splitlines()[-1] == "medsam-engine: interrupted"
    assert json.loads(place.read_text())["killed"] == 0
    assert json.loads(place.read_text())["at_work"] is False
