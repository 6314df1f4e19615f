# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The commands of docs/dicomweb.md run word for word, with a stand-in in place of the server that they name."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("dicomweb_client", reason="it is of the extra [dicomweb]")
pytest.importorskip("highdicom", reason="DICOM SEG needs the full installation")

from dicom_builder import stored, write_series
from dicomweb_stand_in import StandIn
from label_objects import contour, in_mm, rtstruct_dataset, saved

from medsam_engine import io
from medsam_engine.cli.app import run

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "scripts" / "docs")]
import page_blocks

PAGE = ROOT / "docs" / "dicomweb.md"


def scan(folder: Path, study: str, series: str) -> io.MedicalImage:
    """A CT around the boxes of the page, which are in mm."""
    places = np.array([[-40.0, -60.0, 4.0 * k] for k in range(20)])
    tags = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "PixelSpacing": [2.0, 2.0]}
    write_series(folder, stored(20, 100, 100), places, **tags)
    return io.read(folder)


@pytest.mark.usefixtures("tiny_bundle")
def test_the_commands_of_the_page(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = page_blocks.blocks(PAGE)
    (table,) = [block.text for block in blocks if block.text.startswith("file,")]
    listed = sorted({line.split(",")[0] for line in table.splitlines()[1:]})
    held = [("1.2.3", "1.2.3.4"), ("1.2.5", "1.2.5.1"), *(("1.2.9", uid) for uid in listed)]
    for number, (study, series) in enumerate(held):
        image = scan(tmp_path / f"series{number}", study, series)
        stand_in.add(tmp_path / f"series{number}")
        if study == "1.2.5":
            square = [[30, 30], [60, 30], [60, 60], [30, 60]]
            made = rtstruct_dataset(image, {1: ("GTV", [contour(in_mm(image, square, k)) for k in (4, 5, 6)])})
            made.StudyInstanceUID, made.SeriesInstanceUID = study, "1.2.5.2"
            stand_in.add(saved(tmp_path / "contours.dcm", made))
    monkeypatch.chdir(tmp_path)
    Path("series.csv").write_text(table, encoding="utf-8")
    lines = [line for block in blocks if block.is_shell for line in block.commands()]
    commands = [line.split()[1:] for line in lines if "--dicomweb" in line]
    assert len(commands) == 3
    for words in commands:
        assert run(words) == 0, (words, capsys.readouterr().err)
        assert re.search(r"[12] cases? done, 0 skipped, 0 failed", capsys.readouterr().err)
    answers = {path.name: io.read_boxes(path, io.read(tmp_path / "series2")).names
               for path in Path("answers").glob("1.2.8*.dcm") if path.stem == listed[0]}  # fmt: skip
    assert answers == {f"{listed[0]}.dcm": ("liver", "spleen")}
    assert len(list(Path("answers").glob("*.dcm"))) == 4
    assert len(stand_in.of_kind("SEG")) == 3  # those of the commands with --store
