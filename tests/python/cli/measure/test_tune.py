# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine tune`, on the tiny bundle: what is stored and used, not the times."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine import Engine
from medsam_engine.cli.app import run
from medsam_engine.measure import tuning
from medsam_engine.measure.tuning import Measured, fastest, thread_counts

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"
QUICK = ["--repeats", "1", "--size", "64"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "cache"


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """The tiny bundle with a certificate for a decoder in bf16; skips where the processor has no bf16."""
    info = Engine(TINY).info
    folder = tmp_path / "bundle"
    shutil.copytree(TINY, folder)
    content = json.loads((folder / "manifest.json").read_text())
    measured = {"images": 40, "objects": 99, "agreement_mean": 0.995, "agreement_worst": 0.9}
    certificate: dict[str, Any] = {
        "precision": "bf16",
        "stages": {"encoder": "f32", "decoder": "bf16"},
        "model_hash": info.model_hash,
        "backend": info.backend,
        "device": "CPU",
        "measured": {**measured, "truth_f32": None, "truth": None, "worst_loss": None},
    }
    content["certificates"] = [certificate]
    # As if it had been measured here.
    Path(info.certificates_file).parent.mkdir(parents=True, exist_ok=True)
    Path(info.certificates_file).write_text(json.dumps([certificate]))
    (folder / "manifest.json").write_text(json.dumps(content))
    if "f32/bf16" not in Engine(folder).info.certified:
        pytest.skip("this processor does not compute in bf16")
    return folder


def _row(encoder: str, threads: int, encode_ms: float) -> Measured:
    return Measured(encoder, "f32", threads, encode_ms, 10)


def test_the_fastest_must_win_clearly() -> None:
    f32, bf16, int8 = _row("f32", 0, 100), _row("bf16", 0, 60), _row("int8", 0, 58)
    assert fastest([f32, bf16, int8]) is bf16  # 3 % is noise
    assert fastest([f32, _row("bf16", 0, 96)]) is f32
    assert fastest([f32, bf16, _row("int8", 0, 30)]).encoder == "int8"


@pytest.mark.parametrize(("cores", "counts"), [(1, [0, 1]), (2, [0, 2, 1]), (3, [0, 3, 1]), (16, [0, 16, 8, 4])])
def test_thread_counts(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_a_tuned_choice_is_stored_shown_used_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", str(TINY), "--show"]) == 0
    assert "nothing is stored" in capsys.readouterr().out
    assert run(["tune", str(TINY), *QUICK]) == 0
    out = capsys.readouterr().out
    assert "chosen" in out
    assert "tuned on this machine" in out
    info = Engine(TINY, precision="auto").info
    assert info.tuned
    assert info.precision == "f32"  # the tiny bundle has no certificate
    assert json.loads(Path(info.tuning_file).read_text())["measured"]["times"]
    assert run(["tune", str(TINY), "--show"]) == 0
    assert str(Path(info.tuning_file)) in capsys.readouterr().out
    assert run(["info", str(TINY)]) == 0
    assert "tuned on this machine" in capsys.readouterr().out
    assert run(["tune", str(TINY), "--clear"]) == 0
    assert "removed" in capsys.readouterr().out
    assert not Engine(TINY, precision="auto").info.tuned
    assert run(["tune", str(TINY), "--clear"]) == 0
    assert "nothing was stored" in capsys.readouterr().out


@pytest.mark.needs("openvino")
def test_what_is_written_is_what_the_engine_reads(certified: Path, caplog: pytest.LogCaptureFixture) -> None:
    info = Engine(certified).info
    tuning.store(Path(info.tuning_file), info, Measured("f32", "f32", 1, 1.0, 1.0))
    auto = Engine(certified, precision="auto").info
    assert (auto.tuned, auto.precision, auto.threads) == (True, "f32", 1)
    assert Engine(certified, precision="auto", threads=2).info.threads == 2
    assert Engine(certified).info.threads == 0
    tuning.store(Path(info.tuning_file), info, Measured("f32", "bf16", 0, 1.0, 1.0))
    auto = Engine(certified, precision="auto").info
    assert (auto.tuned, auto.encoder_precision, auto.decoder_precision) == (True, "f32", "bf16")
    assert not caplog.records
    tuning.store(Path(info.tuning_file), info, Measured("bf16", "bf16", 0, 1.0, 1.0))  # not certified
    auto = Engine(certified, precision="auto").info
    assert (auto.tuned, auto.encoder_precision, auto.decoder_precision) == (False, "f32", "bf16")
    assert "is not used" in caplog.text


def test_a_broken_choice_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    target = Path(Engine(TINY).info.tuning_file)
    target.parent.mkdir(parents=True)
    target.write_text("{")
    assert not Engine(TINY, precision="auto").info.tuned
    assert "tuned choice" in caplog.text


@pytest.mark.needs("openvino")
def test_every_certified_precision_is_measured(certified: Path) -> None:
    tuned = tuning.tune(certified, size=64, repeats=1)
    assert {f"{row.encoder}/{row.decoder}" for row in tuned.by_precision} == {"f32/f32", "f32/bf16"}
    assert tuned.best_precision in tuned.by_precision
    assert tuned.choice in tuned.by_threads
    best = tuned.best_precision
    assert {(row.encoder, row.decoder) for row in tuned.by_threads} == {(best.encoder, best.decoder)}
    assert all(row.encode_ms > 0 and row.prompt_ms > 0 for row in [*tuned.by_precision, *tuned.by_threads])


def test_without_a_cache_folder_it_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", "none")
    assert run(["tune", str(TINY), *QUICK]) == 2
    assert "cache" in capsys.readouterr().err
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path))
    assert run(["tune", str(TINY), "--show", "--clear"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
