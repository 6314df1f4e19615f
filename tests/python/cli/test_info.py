# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine info`."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli.app import run


@pytest.mark.needs("openvino")
def test_a_bundle_is_described(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    manifest = json.loads((bundle / "manifest.json").read_text())
    for word in ("litemedsam", "encoder.onnx", manifest["models"]["encoder"]["sha256"][:16], "OpenVINO", "256 x 256"):
        assert word in out


def test_what_is_trained_and_what_the_graph_only_takes(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text())
    untrained = "the graph accepts them; the weights were not trained with them"
    for trained, words in (
        ([["box"]], f"boxes (trained); points, masks ({untrained}); a click is answered by a search"),
        ([["box"], ["box", "points"]], f"boxes, boxes with points (trained); masks ({untrained})"),
        ([["points"], ["box", "points", "mask"]], "points, boxes with points and masks (trained) "),
        (None, "trained with: export it again); points, masks (the graph accepts them)"),
    ):
        manifest.pop("trained_prompts", None)
        if trained is not None:
            manifest["trained_prompts"] = trained
        (copy / "manifest.json").write_text(json.dumps(manifest))
        assert run(["info", str(copy)]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.needs("openvino")
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
