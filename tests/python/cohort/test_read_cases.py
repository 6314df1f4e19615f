# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases from tables, lists and folders: the same values whatever the format; what is wrong is refused by its line."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.cohort import CaseList, CaseSpec, ObjectPrompt, read_cases

HEADER = "file,name,x0,y0,z0,x1,y1,z1,window"
CSV = f"{HEADER}\na/ct.nii.gz,liver,1,2,3,4,5,6,full\na/us.png,,1,2,,30,40.5,,\na/ct.nii.gz,spleen,2,2,3,4,5,6,full\n"
ROWS: list[dict[str, Any]] = [
    {"file": "a/ct.nii.gz", "name": "liver", "box": [1, 2, 3, 4, 5, 6], "window": "full"},
    {"file": "a/us.png", "box": [1, 2, 30, 40.5]},
    {"file": "a/ct.nii.gz", "name": "spleen", "box": [2, 2, 3, 4, 5, 6], "window": "full"},
]


def csv_table(folder: Path) -> Path:
    path = folder / "cases.csv"
    path.write_text(CSV)
    return path


def json_lines(folder: Path) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


def nested_json_lines(folder: Path) -> Path:
    path = folder / "nested.jsonl"
    scan = {"file": "a/ct.nii.gz", "window": "full"}
    objects = [{"name": ROWS[k]["name"], "box": ROWS[k]["box"]} for k in (0, 2)]
    path.write_text(json.dumps({**scan, "objects": objects}) + "\n\n" + json.dumps(ROWS[1]) + "\n")
    return path


def parquet(folder: Path) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    from pyarrow import parquet as writer

    rows: list[dict[str, object]] = []
    for row in ROWS:
        box = row["box"]
        columns = ("x0", "y0", "z0", "x1", "y1", "z1") if len(box) == 6 else ("x0", "y0", "x1", "y1")
        rest = {"file": row["file"], "name": row.get("name"), "window": row.get("window"), "z0": None, "z1": None}
        rows.append({**rest, **dict(zip(columns, box, strict=True))})
    path = folder / "cases.parquet"
    writer.write_table(arrow.Table.from_pylist(rows), path)
    return path


def plain(listed: CaseList) -> list[tuple[object, ...]]:
    return [
        (case.file, case.path, case.window, [(o.label, o.name, o.box, o.in_mm) for o in case.objects])
        for case in listed.cases
    ]


@pytest.mark.parametrize("write", [csv_table, json_lines, nested_json_lines, parquet])
def test_every_format_gives_the_same_cases(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    if write is not csv_table:
        path.with_name("cases.csv").unlink(missing_ok=True)
    assert plain(read_cases(path)) == [
        (
            "a/ct.nii.gz",
            str(tmp_path / "a/ct.nii.gz"),
            "full",
            [(1, "liver", (1, 2, 3, 4, 5, 6), False), (2, "spleen", (2, 2, 3, 4, 5, 6), False)],
        ),
        ("a/us.png", str(tmp_path / "a/us.png"), None, [(1, "", (1, 2, 30, 40.5), False)]),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got no row"),
        ('{"file": "a.png", "box": [1, 2, 3, 4]}\n{', "line 2: got no JSON"),
        ("[]", "line 1: got list"),
        ('{"file": "a.png", "box": [1, 2, 3]}', "expected a list of 4 or 6 numbers"),
        ('{"file": "a.png", "box": [1, 2, 3, true]}', "got bool for y1"),
        ('{"file": "a.png", "box": [1, 2, 3, NaN]}', "got '' for y1"),
        ('{"file": "a.png", "objects": []}', "no list of objects"),
        ('{"box": [1, 2, 3, 4]}', "line 1: got no file"),
        ('{"file": {}, "box": [1, 2, 3, 4]}', "got dict for file"),
        ('{"file": "a.png", "file": "b.png", "box": [1, 2, 3, 4]}', "line 1: got two values for 'file'"),
        ('{"file": "a.png", "objects": [{"box": [1, 2, 3, 4], "label": 1, "label": 2}]}', "two values for 'label'"),
        ('{"file": "a.png", "name": "a", "objects": [{"box": [1, 2, 3, 4], "name": "b"}]}', "two values for 'name'"),
        ('{"file": "a.png", "box": [1, 2, 3, 4], "x0": 5}', "two values for 'x0'"),
        ('{"file": "a.png", "x0": 5, "objects": [{"box": [1, 2, 3, 4]}]}', "two values for 'x0'"),
        (
            '{"file": "https://a:secret@host/a.png", "box": [1, 2, 3, 4]}',
            "line 1: file: got a URL of https:// with a user",
        ),
        ('{"file": "s3://b/a.png?X-Signature=secret", "box": [1, 2, 3, 4]}', "got a URL of s3:// with a query"),
        ('{"file": "a.png", "boxes_from": "s3://b/a.json#secret"}', "got a URL of s3:// with a fragment"),
        ('{"file": "a.png", "boxes_from": "m.png", "box": [1, 2, 3, 4]}', "boxes_from and more"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cases.jsonl").write_text(text)
    with pytest.raises(InvalidArgument) as caught:
        read_cases(tmp_path / "cases.jsonl")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_empty_field_of_a_line_is_no_value(tmp_path: Path) -> None:
    line = '{"file": "a.png", "name": null, "objects": [{"box": [1, 2, 3, 4], "name": "b"}]}'
    (tmp_path / "cases.jsonl").write_text(line)
    (case,) = read_cases(tmp_path / "cases.jsonl").cases
    assert case.objects[0].name == "b"


def test_columns_of_parquet_that_differ_in_case_are_two_values(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra [parquet] is not installed")
    row = {"file": ["a.png"], "x0": [1], "y0": [1], "x1": [2], "y1": [2], "label": [1], "Label": [2]}
    parquet.write_table(pyarrow.table(row), tmp_path / "cases.parquet")
    with pytest.raises(InvalidArgument, match="got two values for 'label'"):
        read_cases(tmp_path / "cases.parquet")


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    (tmp_path / "cases.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidArgument, match="expected a Parquet file"):
        read_cases(tmp_path / "cases.parquet")


def test_a_file_of_boxes_per_row(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("file,boxes_from\nct.nii.gz,masks/ct.nrrd\nus.png,/m/us.png\n")
    cases = read_cases(tmp_path / "cases.csv").cases
    assert [case.boxes_from for case in cases] == [
        os.path.join(tmp_path, "masks/ct.nrrd"),
        os.path.join(tmp_path, "/m/us.png"),
    ]


def test_urls_stay_urls(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("file,x0,y0,x1,y1\ns3://archive/a/us.png,1,1,2,2\n")
    (case,) = read_cases(tmp_path / "cases.csv").cases
    assert (case.file, case.path) == ("s3://archive/a/us.png", "s3://archive/a/us.png")


def test_a_folder_of_scans_with_prompts_beside_them(tmp_path: Path) -> None:
    (tmp_path / "p1" / "series").mkdir(parents=True)
    for name in ("us.png", "ct.nii.gz", "ct.boxes.nii.gz", "alone.nii.gz"):
        (tmp_path / name).touch()
    (tmp_path / "us.boxes.csv").write_text("name,x0,y0,x1,y1\nlesion,1,2,3,4\n")
    (tmp_path / "p1" / "series.boxes.mrk.json").touch()
    for folder in ("series/below", "other"):
        (tmp_path / "p1" / folder).mkdir()
        (tmp_path / "p1" / folder / "1.dcm").touch()
    (tmp_path / "p1" / "alone.png").touch()
    listed = read_cases(tmp_path)
    assert [(case.file, case.boxes_from) for case in listed.cases] == [
        ("ct.nii.gz", str(tmp_path / "ct.boxes.nii.gz")),
        ("p1/series", str(tmp_path / "p1" / "series.boxes.mrk.json")),
        ("us.png", None),
    ]
    assert listed.cases[2].objects == (ObjectPrompt(1, (1, 2, 3, 4), "lesion", line=2),)
    assert listed.notes == ["images without prompts beside them, left out: alone.nii.gz, p1/alone.png, p1/other/"]
    (tmp_path / "us.tif").touch()
    with pytest.raises(InvalidArgument, match=r"us\.png and us\.tif"):
        read_cases(tmp_path)


def test_a_folder_of_npz_cases_has_its_boxes_in_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no NPZ case"):
        read_cases(tmp_path)
    np.savez(tmp_path / "2DBox_a.npz", imgs=np.zeros((4, 4), np.uint8), boxes=np.array([[1, 1, 2, 2]]))
    assert [(case.file, case.objects) for case in read_cases(tmp_path).cases] == [("2DBox_a.npz", ())]


def test_a_case_survives_pickle_and_json(tmp_path: Path) -> None:
    for case in [*read_cases(csv_table(tmp_path)).cases, CaseSpec.of("a.npz"), CaseSpec.of("b", boxes_from="c.dcm")]:
        assert pickle.loads(pickle.dumps(case)) == case
        assert CaseSpec.from_content(json.loads(json.dumps(case.content()))) == case
    with pytest.raises(InvalidArgument):
        CaseSpec.from_content({"file": "a", "path": "a", "objects": [{"label": 1}]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"boxes": [[1, 2, 3]]},
        {"boxes": [[1, 2, 3, float("nan")]]},
        {"boxes": [[1, 2, 3, 4]], "boxes_from": "x"},
        {"boxes": [[1, 2, 3, 4]], "names": ["a", "b"]},
    ],
)
def test_a_case_of_wrong_parts_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        CaseSpec.of("a.png", **wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_what_only_looks_like_a_secret_is_taken() -> None:
    for url in ("s3://bucket/a@2.png", "abfs://images@account.dfs.core.windows.net/a.png", "file:///x/a b.png"):
        assert CaseSpec.of(url, [[1, 2, 3, 4]]).path == url
    with pytest.raises(InvalidArgument, match="a user or password"):
        CaseSpec.of("abfs://u:p@account/a.png")
    assert CaseSpec.of("a?b#c@d.png").path == "a?b#c@d.png", "a file on this machine may have any name"


def test_images_without_prompts_are_noted_in_folders_below_too(tmp_path: Path) -> None:
    for place in ("p1/scan.nii.gz", "p2/scan.nii.gz", "p2/ct/1.dcm", "p2/ct/2.dcm", "p3/mr/1.dcm", "p3/notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    (tmp_path / "p3" / "us").mkdir()
    for name in ("1.2.840.1", "1.2.840.2", "README"):
        (tmp_path / "p3" / "us" / name).write_bytes(b"" if name == "README" else bytes(128) + b"DICM")
    (tmp_path / "p1" / "scan.boxes.csv").write_text("x0,y0,x1,y1\n1,2,3,4\n")
    (tmp_path / "p2" / "ct.boxes.csv").write_text("x0,y0,x1,y1\n1,2,3,4\n")
    (tmp_path / "answers" / "p1").mkdir(parents=True)
    for name in ("scan.nii.gz", "scan.nii.gz.json"):
        (tmp_path / "answers" / "p1" / name).touch()
    listed = read_cases(tmp_path)
    assert [case.file for case in listed.cases] == ["p1/scan.nii.gz", "p2/ct"]
    assert listed.notes == ["images without prompts beside them, left out: p2/scan.nii.gz, p3/mr/, p3/us/"]


@pytest.mark.needs("links")
def test_links_to_folders_are_noted_unless_they_are_cases(tmp_path: Path) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "folder"
    (archive / "ct").mkdir(parents=True)
    (archive / "ct" / "1.dcm").touch()
    folder.mkdir()
    (folder / "ct").symlink_to(archive / "ct")
    (folder / "p1").symlink_to(archive)
    (folder / "back").symlink_to(folder)
    (folder / "ct.boxes.csv").write_text("x0,y0,x1,y1\n1,2,3,4\n")
    listed = read_cases(folder)
    assert [case.file for case in listed.cases] == ["ct"]
    assert listed.notes == ["links to folders, which are not followed: back, p1"]


def test_boxes_beside_a_scan_name_no_files(tmp_path: Path) -> None:
    """The rows of a whole table would all be taken as objects of the one scan."""
    (tmp_path / "a.png").touch()
    (tmp_path / "a.boxes.csv").write_text("file,x0,y0,x1,y1\na.png,1,2,3,4\nb.png,5,6,7,8\n")
    with pytest.raises(InvalidArgument, match=r"got the column file in .*a\.boxes\.csv"):
        read_cases(tmp_path)
