# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reproducible answers from Python: an engine on other kernels is refused or told of."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medsam_engine import Engine, InvalidArgument, Unsupported
from medsam_engine.cohort import CaseSpec, RunOptions, reproducible, run_engine, segment, worker

BOX = [5, 6, 30, 40]
NOTE = "OpenVINO chooses its own kernels"


def test_an_engine_of_the_caller_has_to_run_on_the_kernels(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_SIMD", "AVX2")
    monkeypatch.setattr(reproducible, "simd_target", lambda: "AVX3_ZEN4")
    engine = Engine(tiny_bundle)
    with pytest.raises(Unsupported, match="got the kernels of AVX3_ZEN4 in this process"):
        segment([CaseSpec.of("a.png", [BOX])], RunOptions(str(tmp_path / "out"), reproducible=True), engine=engine)
    assert not (tmp_path / "out").exists()


def test_an_engine_of_the_caller_has_to_be_in_f32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproducible, "pin_kernels", lambda: "AVX2")
    engine: Any = SimpleNamespace(info=SimpleNamespace(precision="bf16"))
    with pytest.raises(InvalidArgument, match="got an engine in bf16, expected one in f32"):
        segment([CaseSpec.of("a.png", [BOX])], RunOptions(str(tmp_path / "out"), reproducible=True), engine=engine)


@pytest.mark.usefixtures("tiny_bundle")
def test_a_note_on_kernels_that_are_not_pinned_is_given_and_kept(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_engine, "pin_kernels", lambda: "AVX2")  # this process has used others
    monkeypatch.setattr(worker, "kernels_note", lambda _about: NOTE)
    monkeypatch.setattr(run_engine, "simd_target", lambda: "AVX2")
    case = CaseSpec.of(str(scans / "us.png"), [BOX])
    notes: list[str] = []
    options = RunOptions(str(tmp_path / "out"), reproducible=True)
    assert [end.status for end in segment([case], options, note=notes.append)] == ["done"]
    assert notes == [f"note: {NOTE}"]
    record = json.loads((tmp_path / "out" / "us.png.json").read_text())
    assert record["notes"] == [f"note: {NOTE}"]
    assert record["made_of"]["kernels"] == "AVX2"
    monkeypatch.setattr(run_engine, "simd_target", lambda: "NEON")
    assert [end.status for end in segment([case], options)] == ["refused"]
