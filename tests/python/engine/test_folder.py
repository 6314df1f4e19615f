# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""FolderRun: reports, callbacks and names, on the tiny bundle. The answers are checked in cli/test_run.py."""

import os
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import Cancelled, CaseReport, Engine, FolderRun, InvalidArgument

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(TINY, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """An image, one with no boxes, a volume."""
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.random.default_rng(5).integers(0, 256, (5, 24, 32), np.uint8)
    np.savez_compressed(folder / "2DBox_US_a.npz", imgs=pixels[0], boxes=np.array([[5, 6, 30, 20]]))
    np.savez(folder / "2DBox_XRay_b.npz", imgs=pixels[1], boxes=np.zeros((0, 4)))
    np.savez_compressed(folder / "3DBox_CT_c.npz", imgs=pixels, boxes=np.array([[4, 5, 1, 20, 19, 3]]))
    return folder


def test_reports_and_progress(cases: Path, tmp_path: Path, tiny: Engine) -> None:
    run = FolderRun(cases, tmp_path / "out", csv=tmp_path / "t.csv")
    assert (run.size, run.pending) == (3, 3)
    ended: list[CaseReport] = []
    told: list[tuple[int, int, str, int, int]] = []
    report = run.run(tiny, progress=lambda *step: told.append(step), finished=ended.append)
    assert (report.done, report.skipped, report.failed, report.csv_fault) == (3, 0, 0, "")
    assert [case.name for case in report.cases] == [case.name for case in ended]
    assert told[0] == (0, 3, "2DBox_US_a.npz", 0, 0)
    assert told[-1][2] == "3DBox_CT_c.npz"
    with pytest.raises(InvalidArgument, match="second call"):
        run.run(tiny)
    with pytest.raises(InvalidArgument, match="no engine"):
        FolderRun(cases, tmp_path / "out", overwrite=True).run(None)
    assert FolderRun(cases, tmp_path / "out").run(None).skipped == 3


def test_what_a_callback_raises_ends_the_run(cases: Path, tmp_path: Path, tiny: Engine) -> None:
    def fail(*_: object) -> bool:
        raise ZeroDivisionError("of the test")

    out = tmp_path / "out"
    for hook in ("progress", "finished", "cancelled"):
        with pytest.raises(ZeroDivisionError, match="of the test"):
            FolderRun(cases, out, overwrite=True).run(tiny, **{hook: fail})
    with pytest.raises(Cancelled):
        FolderRun(cases, out, overwrite=True).run(tiny, cancelled=lambda: True)


@pytest.mark.needs("byte names")
def test_a_name_that_is_no_utf_8(cases: Path, tmp_path: Path, tiny: Engine) -> None:
    name = b"2DBox_\xff.npz"
    try:
        os.rename(os.fsencode(cases / "2DBox_US_a.npz"), os.path.join(os.fsencode(cases), name))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    report = FolderRun(cases, tmp_path / "out").run(tiny)
    assert report.done == 3
    assert os.fsdecode(name) in [case.name for case in report.cases]
