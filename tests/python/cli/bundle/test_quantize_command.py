# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine quantize`: bad input is one line. The work itself: tests/python/tools/approximate/test_quantize.py."""

from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("torch", reason="the export tools need torch: make setup")

from medsam_engine.cli.app import run

DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([str(DATA / "tiny_routed"), "--images", str(DATA)], "experts"),
        ([str(DATA / "nowhere"), "--images", str(DATA)], "manifest"),
        ([str(DATA / "tiny_bundle"), "--images", str(DATA / "tiny_bundle")], "npz"),
        ([str(DATA / "tiny_bundle"), "--images", str(DATA), "--rest", "int8"], "rest"),
        ([str(DATA / "tiny_bundle")], "--images"),
    ],
)
def test_bad_input_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quantize", *words]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert told in err
