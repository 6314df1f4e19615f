# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine bench`, on the tiny bundle: the table, not the times."""

import json
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine import Engine
from medsam_engine.cli.app import run
from medsam_engine.measure.bench import BATCH, BATCHED, ENCODE, MASK, PROMPT, available_engines, measure

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"
QUICK = ["--repeats", "2", "--size", "64"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")


def test_the_table_names_machine_model_and_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(TINY), *QUICK, "--no-roofline"]) == 0
    out = capsys.readouterr().out
    for word in (
        "processor",
        "governor",
        "tiny",
        Engine(TINY).info.model_hash[:16],
        ENCODE,
        PROMPT,
        BATCHED,
        MASK,
        "f32",
    ):
        assert word in out
    assert "bf16 left out" in out  # no certificate, and the reason is told


@pytest.mark.needs("openvino")
def test_json_and_plot_hold_every_stage_with_its_bound(tmp_path: Path) -> None:
    table, plot = tmp_path / "bench.json", tmp_path / "bench.png"
    assert run(["bench", str(TINY), *QUICK, "--json", str(table), "--plot", str(plot)]) == 0
    content = json.loads(table.read_text())
    rows = {(row["stage"], row["precision"]): row for row in content["stages"]}
    assert {stage for stage, _ in rows} >= {ENCODE, PROMPT, BATCHED, MASK}
    for row in rows.values():
        assert row["calls"] == 2
        assert 0 < row["median_ms"] <= row["p95_ms"]
    assert rows[ENCODE, "f32"]["bound_ms"] > 0
    assert rows[MASK, "f32"]["bound_ms"] is None
    assert content["model"]["family"].startswith("tiny")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_stage_is_called_as_often_as_asked_and_never_from_the_cache() -> None:
    engines, refused = available_engines(TINY, threads=1, profile=None, uncertified=False)
    assert list(engines) == ["f32"]
    assert set(refused) == {"bf16", "f16", "int8"}
    times = measure(engines, size=64, repeats=3)
    assert [row.calls for row in times] == [3] * len(times)
    assert engines["f32"].cache_stats().hits == 0
    assert BATCH > 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--repeats", "0"], "repeats"),
        (["--size", "8"], "size"),
        (["--plot", "times.jpg"], ".png"),
        (["--profile", "nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(TINY), *words]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert told in err


def test_a_missing_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
