# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run`: tables and command lines that are refused, in one line and before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import HEADER, ROWS, snapshot, table_of

from medsam_engine.cli.app import run

pytestmark = pytest.mark.usefixtures("tiny_bundle")

BAD_TABLES: list[tuple[str | bytes, str]] = [
    ("", "no column named file"),
    ("name,x0,y0,x1,y1\na,1,1,2,2\n", "no column named file"),
    ("file,name\nscans/us.png,a\n", "expected x0, y0, x1 and y1"),
    ("file,x0,x0,y0,x1,y1\nscans/us.png,1,1,1,2,2\n", "the column x0 twice"),
    (f"{HEADER}\n", "no row"),
    (f"{HEADER}\n{ROWS[0]}\n\nscans/us.png,a,1,2,,3,x,\n", "cases.csv line 4: got 'x' for y1"),
    (f"{HEADER}\n{ROWS[0]}\nscans/us.png,a,1,,,3,4,\n", "cases.csv line 3: got '' for y0"),
    (f"{HEADER}\nscans/us.png,a,1,2,1,3,4,\n", "cases.csv line 2: got '' for z1"),
    (f"{HEADER}\nscans/us.png,a,nan,2,,3,4,\n", "got 'nan' for x0"),
    (f"{HEADER}\nscans/us.png,a,1e999,2,,3,4,\n", "got '1e999' for x0"),
    (f"{HEADER}\nscans/us.png,a,1_0,2,,30,40,\n", "got '1_0' for x0"),
    (f'{HEADER}\nscans/us.png,a,"1,5",2,,30,40,\n', "decimal point"),
    (f"{HEADER}\nscans/us.png,a,1,5,2,5,,30,40,\n", "cases.csv line 2: got 10 fields, expected 8"),
    (f"{HEADER}\nscans/us.png,a,1\n", "got 3 fields"),
    (f"{HEADER}\n,a,1,2,,3,4,\n", "got no file"),
    (f'{HEADER}\n"scans/us.png,a,1,2,,3,4,\n', "got no CSV"),
    (f'{HEADER}\n"scans/\nus.png",a,1,2,,3,4,\nscans/us.png,a,,,,,,\n', "cases.csv line 4: got no box"),
    (f"{HEADER},label\nscans/us.png,a,1,2,,3,4,,0\n", "got '0' for label"),
    (f"{HEADER},label\nscans/us.png,a,1,2,,3,4,,5\nscans/us.png,b,1,2,,3,4,,5\n", "line 3: got label 5"),
    (f"{HEADER},window\nscans/us.png,a,1,2,,3,4,,liver\n", "cases.csv line 2: window: got 'liver'"),
    (f"{HEADER},volume\nscans/us.png,a,1,2,,3,4,,-1\n", "got '-1' for volume"),
    (f"{HEADER},window\nscans/us.png,a,1,2,,3,4,,full\nscans/us.png,a,1,2,,3,4,,\n", "another window for scans/us.png"),
    (f"{HEADER},x0_mm\nscans/us.png,a,1,2,,3,4,,5\n", "boxes in voxels and in mm"),
    (f"{HEADER}\nscans/\u00fcs.png,a,1,2,,3,4,\n".encode("latin-1"), "expected UTF-8"),
    (f"{HEADER}\n{ROWS[0]}\n".encode("utf-16"), "expected UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), BAD_TABLES)
def test_a_bad_table_is_one_line_and_nothing_runs(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], content: str | bytes, words: str
) -> None:
    table = scans.parent / "cases.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    assert run(["run", str(table), str(tmp_path / "out")]) == 2
    assert words in only_error()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TABLE"], "-o"),
        (["TABLE", "OUT", "--cases", "TABLE"], "2 inputs"),
        (["TABLE", "OUT", "-o", "OUT"], "2 folders"),
        (["missing.csv", "OUT"], "no such file"),
        (["s3://bucket/cases.csv", "OUT"], "got s3://bucket/cases.csv, expected a table or a folder on this machine"),
        (["TABLE", "memory://out"], "got memory://out, which ends with this command"),
        (["TABLE", "OUT", "--format", "jpg"], "--format"),
        (["TABLE", "OUT", "--window", "liver"], "window"),
        (["TABLE", "OUT", "--times"], "--times"),
        (["TABLE", "SCANS"], "--output"),
        (["TABLE", "SCANS/ct/answers"], "--output"),
        (["TABLE", "OUT", "--csv", "TABLE"], "different files"),
        (["TABLE", "OUT", "--csv", "SCANS/us.png"], "different files"),
        (["TABLE", "OUT", "--objects", "SCANS/ct/2062"], "different files"),
        (["TABLE", "OUT", "--csv", "OUT/t.csv", "--objects", "OUT/t.csv"], "twice"),
        (["TABLE", "OUT", "--objects", "OUT/scans/us.png"], "output"),
        (["TABLE", "OUT", "--preview-folder", "OUT"], "--preview-folder"),
        (["TABLE", "OUT", "--preview-folder", "OUT/previews"], "--preview-folder"),  # as the next run would refuse it
        (["TABLE", "OUT", "--bundle", "nowhere"], "nowhere"),
        (["-i", "SCANS", "-o", "OUT", "--format", "png"], "--format"),
        (["-i", "SCANS", "-o", "OUT", "--tries", "2"], "--tries: got it with a folder of NPZ cases"),
        (["-i", "SCANS", "-o", "OUT", "--if-different", "refuse"], "--if-different: got it with a folder of NPZ cases"),
        (["TABLE", "OUT", "--study", ""], "--study: got it with no --dicomweb"),
        (["--study", "", "-o", "OUT"], "--study: got it with no --dicomweb"),
        (["TABLE", "OUT", "--ray", "local", "--limit", "1"], "--limit: got it with --ray"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    scans: Path, tmp_path: Path, only_error: Callable[[], str], arguments: list[str], words: str
) -> None:
    names = {"TABLE": str(table_of(scans)), "OUT": str(tmp_path / "out"), "SCANS": str(scans)}
    for name, path in names.items():
        arguments = [argument.replace(name, path) for argument in arguments]
    before = snapshot(scans)
    assert run(["run", *arguments]) == 2
    assert words in only_error()
    assert snapshot(scans) == before
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
