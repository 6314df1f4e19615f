# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases of mixed formats, the run killed with SIGKILL again and again: what is there at last is what there would be."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.cohort.made_cases import make_cases
from benchmarks.cohort.trial import differences, trial

pytestmark = pytest.mark.usefixtures("tiny_bundle")


@pytest.mark.needs("signals")
@pytest.mark.parametrize(
    ("count", "kills"), [(20, 3), pytest.param(200, 10, marks=pytest.mark.slow(reason="a few minutes"))]
)
def test_killed_runs_end_as_an_undisturbed_one(tmp_path: Path, count: int, kills: int) -> None:
    table = make_cases(tmp_path / "cases", count, side=64, depth=4)
    assert trial(table, tmp_path, (), kills, longest_s=4.0, seed=19) == []


def test_dicom_segs_follow_from_their_inputs(tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
    table = make_cases(tmp_path / "cases", 2, side=64, depth=4, kinds=["dicom"])
    assert trial(table, tmp_path, ("--format", "dcm"), kills=0, longest_s=1.0, seed=1) == []


def test_the_trial_sees_what_is_wrong(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(name.encode())
        (tmp_path / name / "a.png.json").write_text(f'{{"status": "{name}", "seconds": 1}}')
        (tmp_path / name / f"{name}.png").touch()
    found = differences(tmp_path / "one", tmp_path / "other")
    assert len(found) == 4
    assert "other bytes: a.png" in found
