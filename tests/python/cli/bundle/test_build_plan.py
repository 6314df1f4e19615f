# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine build-plan` from the command line."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli.app import run

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


def test_plans_are_built_into_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")
    assert run(["build-plan", str(TINY), "--target", "sm_89", "--cache-dir", str(tmp_path)]) == 0
    assert len(list((tmp_path / "plans").glob("*.plan"))) == 3
    assert "3 plans" in capsys.readouterr().err


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)  # as if it were not installed
    assert run(["build-plan", str(TINY), "--target", "sm_89", "--cache-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "pip install tensorrt-rtx-cu13==" in error
    assert error.count("\n") == 1


def test_a_folder_that_is_no_bundle_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")
    assert run(["build-plan", str(tmp_path), "--target", "sm_89", "--cache-dir", str(tmp_path)]) == 2
    assert "no manifest" in capsys.readouterr().err
