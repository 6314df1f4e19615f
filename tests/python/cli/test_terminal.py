# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What comes from files reaches the terminal as text: no control characters, no markup, one line an error."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from medsam_engine.cli.app import run
from medsam_engine.cli.measure.eval import csv_text, read_times
from medsam_engine.cli.terminal import log_to, plain, say
from medsam_engine.errors import OutOfMemory
from medsam_engine.measure.metrics import CaseScore, Evaluation

TINY = Path(__file__).resolve().parents[2] / "data/tiny_bundle"
ATTACK = "x\x1b[2J\n\x1b]0;owned\x07[bold red]:smile:\u202e"
SHOWN = r"x\x1b[2J\n\x1b]0;owned\x07[bold red]:smile:\u202e"


def test_lines_and_cells_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(Console(width=40), ATTACK)
    assert capsys.readouterr().out == SHOWN + "\n"
    assert plain(ATTACK).plain == SHOWN
    assert not plain(ATTACK).spans


def test_a_name_that_the_outputs_encoding_lacks_is_shown_escaped(tmp_path: Path) -> None:
    """Output that Windows sends to a pipe or a file has the encoding of the country, which no Greek name fits into."""
    bundle = shutil.copytree(TINY, tmp_path / "M\u00fcller \u0394")
    words = [sys.executable, "-m", "medsam_engine", "info", str(bundle)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "COLUMNS": "400"}
    shown = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "M\u00fcller \\u0394" in shown.stdout.decode("cp1252")


def test_logs_are_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to(Console(stderr=True, width=200))
    logging.getLogger("medsam_engine").warning("%s", ATTACK)
    assert SHOWN in capsys.readouterr().err


@pytest.mark.needs("any name")
def test_an_error_is_one_printable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b]0;owned\x07\nmedsam-engine: b\u202e.png"
    (tmp_path / name).write_bytes(b"no picture")
    assert run(["segment", str(tmp_path / name), "--box", "0,0,1,1", "-o", str(tmp_path / "o.png")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "medsam-engine: " in line]
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_out_of_memory_is_no_internal_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OutOfMemory("image: got a.nii, expected one that fits into memory")

    monkeypatch.setattr("medsam_engine.cli.info.find_bundle", broken)
    assert run(["info"]) == 2
    assert capsys.readouterr().err == "medsam-engine: image: got a.nii, expected one that fits into memory\n"


def test_info_shows_a_bundles_words_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(TINY, tmp_path / "b")
    manifest = json.loads((tmp_path / "b/manifest.json").read_text())
    manifest.setdefault("provenance", {})["source"] = "[bold]x\u202e"
    (tmp_path / "b/manifest.json").write_text(json.dumps(manifest))
    status = run(["info", str(tmp_path / "b")])
    captured = capsys.readouterr()
    if status == 0:
        assert r"[bold]x\u202e" in captured.out
    assert "\u202e" not in captured.out + captured.err


def test_scores_of_odd_names(tmp_path: Path) -> None:
    cases = tuple(CaseScore(name, "", 0.5, 0.25) for name in ("=HYPERLINK(1).npz", "-1.npz", "a\x1b.npz"))
    text = csv_text(Evaluation(cases))
    assert text.splitlines()[1:] == [
        "'=HYPERLINK(1).npz,0.5000,0.2500",
        "'-1.npz,0.5000,0.2500",
        r"a\x1b.npz,0.5000,0.2500",
    ]
    (tmp_path / "t.csv").write_text("case,time\n'=HYPERLINK(1).npz,2.5\n-1,\n")
    assert read_times(tmp_path / "t.csv") == {"=HYPERLINK(1).npz": 2.5}


def test_the_limit_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", imgs=np.zeros((40, 50), np.uint8))
    arguments = [
        "segment",
        str(tmp_path / "a.npz"),
        "--box",
        "0,0,9,9",
        "-o",
        str(tmp_path / "o.png"),
        "--bundle",
        str(TINY),
    ]
    assert run([*arguments, "--max-bytes", "1999"]) == 2
    assert "got 2000 bytes" in capsys.readouterr().err
    assert run([*arguments, "--max-bytes", "2000"]) == 0
    assert run([*arguments, "--max-bytes", "0"]) == 2
