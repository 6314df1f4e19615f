# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The committed pictures: each is on its page, none is large, and the speed plot is that of the report."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
GALLERY = ROOT / "docs" / "gallery"
REPORT = ROOT / "benchmarks" / "reports" / "2026-11-29-zen5" / "results.json"


def test_every_picture_is_on_the_page_and_small() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    named = re.findall(r"!\[[^\]]+\]\(gallery/(\w+\.png)\)", page)
    assert sorted(named) == sorted(path.name for path in GALLERY.iterdir())
    for path in (*GALLERY.iterdir(), ROOT / "docs" / "overlay.png"):
        assert path.stat().st_size <= 150_000, path
    assert (ROOT / "docs" / "speed.svg").stat().st_size <= 100_000


def test_the_speed_plot_has_the_reports_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the group bench")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from benchmarks.compare.readme_plot import NAMES, draw, panels

    results = json.loads(REPORT.read_text(encoding="utf-8"))
    shown = panels(results)
    assert len(shown) == 3
    assert set(results["titles"]) == set(NAMES)
    assert round(shown[0].values["ours"], 2) == 0.16
    assert round(shown[2].values["a"], 1) == 37.9
    draw(results, tmp_path / "speed.svg")
    text = (tmp_path / "speed.svg").read_text(encoding="utf-8")
    committed = (ROOT / "docs" / "speed.svg").read_text(encoding="utf-8")
    for name in NAMES.values():  # SVG text is drawn as paths, with the words in a comment
        assert f"<!-- {name} -->" in text
        assert f"<!-- {name} -->" in committed
    assert re.findall(r"<!-- +([\d.]+ m?s) -->", text) == re.findall(r"<!-- +([\d.]+ m?s) -->", committed)
    assert "(d)" not in committed
