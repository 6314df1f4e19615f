# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Longest diameters in a table: the answers of a session, wherever the line is given from, and bad lines refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session, io, windows

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import HEADER, labels_of, table_of

from medsam_engine.cohort import CaseSpec, RunOptions, read_cases, segment
from medsam_engine.show.preview import Marks, contact_sheet

LINE = f"{HEADER},prompt"
# From the lower left to the upper right: the box of its corners alone would make the other diagonal of it.
ENDS = [4.0, 15.0, 21.0, 6.0]


def session_on(path: Path, bundle: Path) -> Session:
    image = io.read(path)
    shown = windows.apply_window(image.array, None, color=image.array.ndim == 3 and not image.is_volume)
    spacing = image.spacing if image.is_volume else None
    return Session(Engine(bundle), shown, spacing, window="none", encode_ahead=False)


def done(cases: list[CaseSpec], out: Path, options: RunOptions | None = None) -> list[NDArray[np.generic]]:
    results = segment(cases, options or RunOptions(str(out)))
    assert [end.status for end in results] == ["done"] * len(cases), [end.message for end in results]
    return [labels_of(Path(end.answer)) for end in results]


def test_a_line_is_answered_as_by_a_session(scans: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    rows = ("scans/mr.nii.gz,a,4,15,2,21,6,2,line", "scans/us.png,b,10,40,,50,12,,line", "scans/us.png,c,5,6,,30,40,,")
    volume, image = done(read_cases(table_of(scans, *rows, header=LINE)).cases, tmp_path / "out")
    session = session_on(scans / "mr.nii.gz", tiny_bundle)
    session.add_line("a", ENDS, 2)
    session.propagate("a")
    assert np.array_equal(volume, session.labels())
    assert len(np.flatnonzero(volume.any(axis=(1, 2)))) > 1  # it was propagated
    session = session_on(scans / "us.png", tiny_bundle)
    session.add_line("b", [10, 40, 50, 12])
    session.add_box("c", [5, 6, 30, 40])
    assert np.array_equal(image, session.labels())
    assert set(np.unique(image)) == {0, 1, 2}


@pytest.mark.usefixtures("tiny_bundle")
def test_the_same_line_in_voxels_in_mm_and_by_lists(scans: Path, tmp_path: Path) -> None:
    path = scans / "mr.nii.gz"
    scan = io.read(path)
    in_mm = [(scan.affine[:3, :3] @ [x, y, 2] + scan.origin).tolist() for x, y in (ENDS[:2], ENDS[2:])]
    line, line_mm = [4, 15, 2, 21, 6, 2], [*in_mm[0], *in_mm[1]]
    listed = scans.parent / "cases.jsonl"
    listed.write_text(json.dumps({"file": str(path), "line": line}))
    jsonl_mm = scans.parent / "mm.jsonl"
    jsonl_mm.write_text(json.dumps({"file": str(path), "objects": [{"line_mm": line_mm}]}))
    backwards = [*line[3:], *line[:3]]
    masks = [
        done(cases, tmp_path / str(k))[0]
        for k, cases in enumerate(
            [
                read_cases(listed).cases,
                read_cases(jsonl_mm).cases,
                [CaseSpec.of(str(path), lines=[line])],
                [CaseSpec.of(str(path), lines_mm=[line_mm])],
                [CaseSpec.from_content(json.loads(json.dumps(CaseSpec.of(str(path), lines=[backwards]).content())))],
            ]
        )
    ]
    assert masks[0].any()
    for mask in masks[1:]:
        assert np.array_equal(mask, masks[0])


@pytest.mark.usefixtures("tiny_bundle")
@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 5.0)])
def test_a_volume_without_spacing_is_told_of(tmp_path: Path, spacing: tuple[float, ...] | None) -> None:
    """How far an object is carried follows from its size in mm."""
    given: dict[str, Any] = {} if spacing is None else {"spacing": np.array(spacing)}
    np.savez(tmp_path / "case.npz", imgs=np.zeros((5, 24, 32), np.uint8), boxes=np.zeros((0, 6)), **given)
    notes: list[str] = []
    case = CaseSpec.of(str(tmp_path / "case.npz"), lines=[[4, 15, 2, 21, 6, 2]])
    (end,) = segment([case], RunOptions(str(tmp_path / "out")), note=notes.append)
    assert end.status == "done"
    assert any("as if voxels were cubes" in note for note in notes) == (spacing is None)


@pytest.mark.usefixtures("tiny_bundle")
def test_a_line_is_another_case_than_the_box_of_its_corners(scans: Path, tmp_path: Path) -> None:
    path, options = str(scans / "us.png"), RunOptions(str(tmp_path / "out"))
    (line,) = segment([CaseSpec.of(path, lines=[[10, 12, 50, 40]])], options)
    (again,) = segment([CaseSpec.of(path, lines=[[10, 12, 50, 40]])], options)
    (box,) = segment([CaseSpec.of(path, [[10, 12, 50, 40]])], options)
    assert [line.status, again.status, box.status] == ["done", "skipped", "refused"]
    assert "does not match this run in objects" in box.message
    assert line.measured[0].iou is None


@pytest.mark.usefixtures("tiny_bundle")
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("scans/mr.nii.gz,,4,15,1,21,6,2,line", "from slice 1 to slice 2, expected both ends on one slice"),
        ("scans/mr.nii.gz,,4,15,,21,6,,line", "got 4 numbers, expected x0, y0, z0, x1, y1, z1 in a volume"),
        ("scans/mr.nii.gz,,4,15,2.5,21,6,2.5,line", "expected whole slice numbers"),
        ("scans/mr.nii.gz,,4,15,9,21,6,9,line", "outside the image"),
        ("scans/us.png,,4,15,0,21,6,0,line", "got 6 numbers, expected x0, y0, x1, y1 in an image"),
        ("scans/us.png,,4,15,,4,15,,line", "expected two ends that differ"),
        ("scans/us.png,,-1,15,,4,15,,line", "outside the image"),
        ("scans/us.png,,4,15,,64,15,,line", "outside the image"),  # as the end of a box it would be the last pixel
    ],
)
def test_a_line_that_does_not_fit_fails_its_case(scans: Path, tmp_path: Path, row: str, words: str) -> None:
    (end,) = segment(read_cases(table_of(scans, row, header=LINE)).cases, RunOptions(str(tmp_path / "out")))
    assert end.status == "failed"
    assert end.message.startswith("cases.csv line 2: line: got")
    assert words in end.message


@pytest.mark.usefixtures("tiny_bundle")
@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("us.png", [1.0, 1, 2, 2], "has no pixel spacing"),
        ("mr.nii.gz", [1.0, 1, 2, 2], "got 4 numbers, expected x0,y0,z0,x1,y1,z1 (LPS)"),
        ("mr.nii.gz", [0.0, 10, 38, 400, 12, 38], "expected a line inside"),
    ],
)
def test_a_line_in_mm_that_does_not_fit(scans: Path, tmp_path: Path, file: str, line: list[float], words: str) -> None:
    (end,) = segment([CaseSpec.of(str(scans / file), lines_mm=[line])], RunOptions(str(tmp_path / "out")))
    assert (end.status, words in end.message) == ("failed", True), end.message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a.png,,1,2,,3,4,,lines", "got 'lines' for prompt, expected box or line"),
        ("a.png,,1,2,,3,x,,line", "got 'x' for y1"),
    ],
)
def test_a_row_that_is_no_line(tmp_path: Path, row: str, words: str) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(f"{LINE}\n{row}\n")
    with pytest.raises(InvalidArgument, match=r"cases\.csv line 2: ") as refused:
        read_cases(table)
    assert words in str(refused.value)


def test_prompts_of_two_kinds() -> None:
    with pytest.raises(InvalidArgument, match=r"got boxes and lines for a\.png"):
        CaseSpec.of("a.png", [[1, 2, 3, 4]], lines=[[1, 2, 3, 4]])
    with pytest.raises(InvalidArgument, match="got 2 names for 1 prompts"):
        CaseSpec.of("a.png", lines=[[1, 2, 3, 4]], names=["a", "b"])


def test_a_line_is_drawn_on_its_slice_alone() -> None:
    labels = np.zeros((3, 64, 64), np.uint8)
    marks = Marks(lines=np.array([[10.0, 50, 50, 10, 1]]), line_labels=np.array([1]))
    plain, drawn = (
        contact_sheet(np.full(labels.shape, 90, np.uint8), labels, tile=64, slices=[0, 1, 2], marks=given)
        for given in (None, marks)
    )
    changed = (plain != drawn).any(axis=2)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    within = columns - 68 - 4  # of the second tile
    assert within.min() >= 8
    assert within.max() <= 53
    assert np.all(np.abs(within + (rows - 4) - 60.5) < 6)  # from the lower left to the upper right
