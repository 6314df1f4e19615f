# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/qt_annotator offscreen: what the mouse and the keys do, against a Session, and pictures of the window."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from annotator_run import SPACING, Program, digest, frame_of, near, run, screenshot
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import Engine, Session

EDGE = (0, 220, 255)  # the first object's outline


def test_click_correct_scroll_undo_propagate_save(
    program: Program, exact: Engine, bundle: Path, volume: NDArray[np.int16], scan: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.nii.gz"
    steps = (
        "drag 24 16 56 48; reject 29 20; key Ctrl+Z; key Ctrl+Shift+Z; wheel 2; drag 25 17 55 47; click 52 32;"
        f"key P; key Ctrl+Z; key Ctrl+Shift+Z; key N; wheel -6; click 14 14; key 1; key L; key 2; save {labels}"
    )
    states = run(program, bundle, scan, steps)

    session = Session(exact, volume, SPACING, window="percentile")
    expected = {}
    session.add_box("object 1", [24, 16, 56, 48], slice=8)
    expected["drag 24 16 56 48"] = digest(session.labels())
    session.add_click("object 1", [29, 20], positive=False, slice=8)
    expected["reject 29 20"] = digest(session.labels())
    session.add_box("object 1", [25, 17, 55, 47], slice=10)
    session.add_click("object 1", [52, 32], slice=10)
    expected["click 52 32"] = digest(session.labels())
    session.propagate("object 1")
    expected["key P"] = digest(session.labels())
    session.add_click("object 2", [14, 14], slice=4)
    expected["click 14 14"] = digest(session.labels())
    assert {step: states[step]["digest"] for step in expected} == expected
    assert all(not state["error"] for state in states.values())

    assert states["key Ctrl+Z"]["digest"] == expected["drag 24 16 56 48"]  # of the correction
    assert states["key Ctrl+Shift+Z"]["digest"] == expected["reject 29 20"]
    assert states["key Ctrl+Z #2"]["digest"] == expected["click 52 32"]  # of the propagation
    assert states["key Ctrl+Shift+Z #2"]["digest"] == expected["key P"]
    assert (states["drag 24 16 56 48"]["undo"], states["drag 24 16 56 48"]["answers"]) == (
        1,
        2,
    )  # opened, its end
    assert (states["wheel 2"]["plane"], states["wheel -6"]["plane"]) == (10, 4)
    assert states["key P"]["objects"][0]["voxels"] > 2 * states["click 52 32"]["objects"][0]["voxels"]
    assert "ml" in states["key P"]["message"]
    assert [found["locked"] for found in states["key 2"]["objects"]] == [True, False]

    saved = sitk.ReadImage(str(labels))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(saved), session.labels())
    assert digest(sitk.GetArrayFromImage(saved)) == states[f"save {labels}"]["digest"]
    source = sitk.ReadImage(str(scan))
    assert np.allclose(saved.GetOrigin(), source.GetOrigin())
    assert np.allclose(saved.GetSpacing(), source.GetSpacing())
    assert np.allclose(saved.GetDirection(), source.GetDirection())


def test_other_axes(program: Program, exact: Engine, bundle: Path, volume: NDArray[np.int16], scan: Path) -> None:
    # A drag makes the other axes' planes go through the middle of its box.
    states = run(
        program, bundle, scan, "drag 24 16 56 48; key Y; click 40 8; key N; key X; lasso 22 4 42 4 42 12 22 12"
    )
    session = Session(exact, volume, SPACING, window="percentile")
    session.add_box("object 1", [24, 16, 56, 48], slice=8)
    session.add_click("object 1", [40, 8], slice=32, axis=1)
    assert (states["key Y"]["axis"], states["key Y"]["plane"]) == (1, 32)
    assert states["click 40 8"]["digest"] == digest(session.labels())
    session.add_lasso("object 2", [[22, 4], [42, 4], [42, 12], [22, 12]], slice=40, axis=2)
    lasso = states["lasso 22 4 42 4 42 12 22 12"]
    assert (lasso["axis"], lasso["plane"], lasso["error"]) == (2, 40, "")
    assert lasso["digest"] == digest(session.labels())


def test_lines_on_the_object_and_beside_it(
    program: Program, exact: Engine, bundle: Path, volume: NDArray[np.int16], scan: Path
) -> None:
    steps = "scribble 30 32 40 30 50 32; scratch 30 24 32 22 36 20"
    states = run(program, bundle, scan, steps)
    session = Session(exact, volume, SPACING, window="percentile")
    session.add_scribble("object 1", [[30, 32], [40, 30], [50, 32]], slice=8)
    assert states["scribble 30 32 40 30 50 32"]["digest"] == digest(session.labels())
    session.add_scribble("object 1", [[30, 24], [32, 22], [36, 20]], positive=False, slice=8)
    assert states["scratch 30 24 32 22 36 20"]["digest"] == digest(session.labels())


def test_errors_and_a_cancelled_propagation_change_nothing(program: Program, bundle: Path, scan: Path) -> None:
    steps = "reject 3 3; key P; drag 24 16 56 48; +key P; key Esc; key L; click 40 32; key L"
    states = run(program, bundle, scan, steps)
    empty = digest(np.zeros((17, 64, 80)))
    for step in ("reject 3 3", "key P"):
        assert states[step]["error"] == states[step]["message"] != ""
        assert states[step]["digest"] == empty
    drawn = states["drag 24 16 56 48"]
    assert "cancelled" in states["key Esc"]["error"].lower()
    assert "locked" in states["click 40 32"]["error"]
    assert {states[step]["digest"] for step in ("key Esc", "click 40 32", "key L #2")} == {drawn["digest"]}
    assert (states["key Esc"]["undo"], states["key Esc"]["objects"]) == (drawn["undo"], drawn["objects"])


def test_a_drag_is_previewed_and_no_step_before_its_end(
    program: Program, exact: Engine, bundle: Path, volume: NDArray[np.int16], scan: Path
) -> None:
    steps = (
        "drag 24 16 56 48; hold 28 20 50 40; key Esc; hold 28 20 50 40; key Ctrl+Z; key Esc; click 52 32; key Ctrl+Z;"
        "hold 28 20 50 40; key L; key Esc"
    )
    states = run(program, bundle, scan, steps)
    session = Session(exact, volume, SPACING, window="percentile")
    session.add_box("object 1", [24, 16, 56, 48], slice=8)
    found = session.preview_box([28, 20, 50, 40], slice=8)
    assert found is not None
    for step in ("hold 28 20 50 40", "hold 28 20 50 40 #2", "hold 28 20 50 40 #3"):
        assert states[step]["preview"] == found.sum(), step
    drawn = states["drag 24 16 56 48"]
    for step in [each for each in states if each[:4] in ("hold", "key ") and each != "key L"]:
        steps_of_undo = 2 if step == "key Esc #3" else 1  # the lock is a step, the drag that it found is none
        assert (states[step]["digest"], states[step]["undo"], states[step]["error"]) == (
            drawn["digest"],
            steps_of_undo,
            "",
        ), step
    assert states["key L"]["digest"] == drawn["digest"]


def test_a_drag_that_fails_leaves_the_box_before(program: Program, bundle: Path, scan: Path) -> None:
    states = run(program, bundle, scan, "drag 24 16 56 48; key L; drag 28 20 50 40; key L; key Ctrl+Z")
    drawn, refused = states["drag 24 16 56 48"], states["drag 28 20 50 40"]
    assert "locked" in refused["error"]
    assert refused["digest"] == states["key L #2"]["digest"] == drawn["digest"]
    assert refused["undo"] == states["key L"]["undo"]


def test_a_session_is_saved_and_loaded(program: Program, bundle: Path, scan: Path, tmp_path: Path) -> None:
    file = tmp_path / "work.session"
    steps = "drag 24 16 56 48; key N; wheel -4; click 14 14; key L; save-session {}; key L; key Del; load-session {}"
    states = run(program, bundle, scan, steps.format(file, file))
    saved, loaded = (states[f"{name}-session {file}"] for name in ("save", "load"))
    assert (saved["digest"], saved["objects"]) == (loaded["digest"], loaded["objects"])
    assert states["key Del"]["digest"] != saved["digest"]
    assert loaded["error"] == ""


def test_the_frame_and_the_outline_are_where_the_mask_is(
    program: Program,
    exact: Engine,
    bundle: Path,
    image: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    tmp_path: Path,
) -> None:
    Image.fromarray(image).save(tmp_path / "image.png")
    drag = "drag " + " ".join(map(str, box))
    labels = tmp_path / "labels.png"
    states = run(program, bundle, tmp_path / "image.png", f"{drag}; shot {tmp_path}/window.png; save {labels}")
    session = Session(exact, image)
    session.add_box("object 1", list(box))
    mask = session.mask("object 1")
    np.testing.assert_array_equal(np.asarray(Image.open(labels)), mask)
    assert states[drag]["objects"][0]["voxels"] == mask.sum()

    # The frame is where the box is, so it tells the scale; the outline lies where the mask's edge does.
    picture = screenshot(tmp_path / "window.png")
    left, top, right, bottom = frame_of(picture)
    scale = (right - left) / (box[2] + 1 - box[0])
    assert (bottom - top) / (box[3] + 1 - box[1]) == pytest.approx(scale, rel=0.02)
    # The color of the object is in the list, too, which is to the right of the picture.
    edge_rows, edge_columns = np.nonzero(near(picture[:, :810], EDGE))
    ys, xs = np.nonzero(mask)
    for end, got, start, wanted in (
        ("left", edge_columns.min(), left, xs.min() - box[0]),
        ("right", edge_columns.max(), left, xs.max() + 1 - box[0]),
        ("top", edge_rows.min(), top, ys.min() - box[1]),
        ("bottom", edge_rows.max(), top, ys.max() + 1 - box[1]),
    ):
        assert abs(got - (start + wanted * scale)) < 0.7 * scale, end
