# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine eval`: table, CSV, plot, and an exit status that tells of cases left out."""

from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("surface_distance", reason="surface-distance comes with the extra [eval]")
pytest.importorskip("matplotlib", reason="matplotlib comes with the extra [eval]")

from medsam_engine.cli.app import run
from medsam_engine.cli.measure.eval import read_times


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Three cases: DSC 1, 0.5 and NaN."""
    truth = np.zeros((20, 20), np.uint8)
    truth[2:8, 2:8], truth[12:18, 12:18] = 1, 2
    cases = {
        "2DBox_US_a_1": (truth, truth),
        "2DBox_US_b_1": (np.where(truth == 2, 0, truth), truth),
        "2DBox_OCT_c_1": (np.where(truth == 2, 3, truth), np.where(truth == 2, 3, truth)),
    }
    for folder, key, k in (("segs", "segs", 0), ("gts", "gts", 1)):
        (tmp_path / folder).mkdir()
        for name, arrays in cases.items():
            np.savez(tmp_path / folder / f"{name}.npz", **{key: arrays[k]})  # type: ignore[arg-type]  # savez takes any names
    return ["eval", "-s", str(tmp_path / "segs"), "-g", str(tmp_path / "gts")]


def test_table_csv_and_plot(tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "times.csv").write_text("case,time\n2DBox_US_a_1.npz,1.5\n2DBox_US_b_1.npz,0.5\n2DBox_OCT_c_1.npz,\n")
    out = {name: str(tmp_path / name) for name in ("scores.csv", "plot.png", "times.csv")}
    arguments = ["--csv", out["scores.csv"], "--plot", out["plot.png"], "--times", out["times.csv"]]
    assert run([*folders, *arguments]) == 0
    assert (tmp_path / "scores.csv").read_text() == (
        "case,dsc,nsd\n2DBox_OCT_c_1.npz,,0.0000\n2DBox_US_a_1.npz,1.0000,1.0000\n2DBox_US_b_1.npz,0.5000,0.5000\n"
    )
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.format == "PNG"
        timed = plot.size
    table = capsys.readouterr().out
    for words in ("2DBox_US_b_1.npz", "0.5000", "US", "0.7500", "1 NaN left out", "all"):
        assert words in table
    assert run([*folders, "--plot", out["plot.png"]]) == 0
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.size[1] < timed[1]


def test_a_case_left_out_is_status_1(tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "segs" / "2DBox_US_a_1.npz").unlink()
    (tmp_path / "segs" / "2DBox_OCT_c_1.npz").write_bytes(b"PK")
    assert run([*folders, "--csv", str(tmp_path / "s.csv")]) == 1
    captured = capsys.readouterr()
    assert "not scored: 2DBox_US_a_1.npz: no prediction" in captured.err
    assert "not scored: 2DBox_OCT_c_1.npz: image: got" in captured.err
    assert "2 of 3 cases not scored" in captured.err
    assert (tmp_path / "s.csv").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--spacing-order", "zyx"], "challenge or corrected"),
        (["--plot", "plot.svg"], ".png"),
        (["--times", "times.csv"], "--plot"),
        (["--csv", "no/such/s.csv"], "existing folder"),
        (["--plot", "TMP/p.png", "--times", "TMP/none.csv"], "none.csv"),
    ],
)
def test_bad_input(
    tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run([*folders, *(a.replace("TMP", str(tmp_path)) for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_missing_folders_and_libraries(
    tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["eval", "-s", str(tmp_path / "no"), "-g", str(tmp_path / "gts")]) == 2
    assert "no such folder" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "surface_distance", None)
    assert run(folders) == 2
    assert "pip install surface-distance==0.1" in capsys.readouterr().err


def test_times_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "case,status,objects,slices,read_s,segment_s,write_s,total_s,empty_objects,message\n"
        "a.npz,done,1,1,0.1,0.7,0.2,1.0,0,\n"
        "b.npz,skipped,0,0,0,0,0,0,0,\n"
        'c.npz,failed,0,0,0.1,0,0,0.1,0,"one, two"\n'
    )
    assert read_times(tmp_path / "t.csv") == {"a.npz": 1.0}
