# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine info`."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer comes with the extra [cli]")

from medsam_engine.cli.app import run


def test_a_bundle_is_described(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    manifest = json.loads((bundle / "manifest.json").read_text())
    for word in ("litemedsam", "encoder.onnx", manifest["models"]["encoder"]["sha256"][:16], "OpenVINO", "256 x 256"):
        assert word in out


def test_a_corrupt_bundle_is_one_line(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "manifest.json").write_text("{")
    cut = tmp_path / "cut"
    shutil.copytree(bundle, cut)
    (cut / "encoder.onnx").write_bytes(b"short")
    for folder in (tmp_path / "missing", broken, cut):
        assert run(["info", str(folder)]) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert err.startswith("medsam-engine: ")
        assert str(folder) in err
