# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/qt_annotator offscreen: what the mouse and the keys do, against a Session, and pictures of the window."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import Engine, Session, windows

Program = Callable[..., CompletedProcess[str]]
State = dict[str, Any]

EDGE = (0, 220, 255)  # the first object's outline
FRAME = (255, 200, 0)  # the box's
SPACING = (0.75, 0.75, 2.5)  # x, y, z; NIfTI's float32 holds them exactly
PLANES = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}  # across which direction they lie


@pytest.fixture(scope="module")
def exact(bundle: Path) -> Engine:
    return Engine(bundle, precision="f32")


@pytest.fixture(scope="module")
def volume() -> NDArray[np.int16]:
    """Two bright balls on noise, (17, 64, 80); the values need a window."""
    z, y, x = np.mgrid[:17, :64, :80]
    values = np.random.default_rng(7).integers(250, 350, z.shape)
    values[(x - 40) ** 2 + (y - 32) ** 2 + (3 * (z - 8)) ** 2 < 15**2] = 1500
    values[(x - 14) ** 2 + (y - 14) ** 2 + (3 * (z - 4)) ** 2 < 9**2] = 1200
    typed: NDArray[np.int16] = values.astype(np.int16)
    return typed


def itk_image(values: NDArray[np.int16]) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING)
    image.SetOrigin((-11.0, 7.5, 100.0))
    return image


@pytest.fixture(scope="module")
def scan(volume: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    sitk.WriteImage(itk_image(volume), str(path))
    return path


def run(program: Program, bundle: Path, file: Path, script: str, *options: str) -> dict[str, State]:
    """The state after each step, by the step's text; a step that comes again has a number."""
    result = program("qt_annotator", bundle, file, "--precision", "f32", "--script", script, *options)
    assert result.returncode == 0, result.stderr
    states: dict[str, State] = {}
    for line in result.stdout.splitlines():
        state = json.loads(line)
        key = state["step"]
        times = sum(name.rsplit(" #", 1)[0] == key for name in states)
        states[f"{key} #{times + 1}" if times else key] = state
    return states


def digest(labels: NDArray[Any]) -> str:
    return hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()


def screenshot(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def near(picture: NDArray[np.uint8], color: tuple[int, ...]) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.all(np.abs(picture.astype(int) - color) <= 3, axis=-1)
    return within


def frame_of(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The dragged box on the screen: left, top, right, bottom."""
    rows, columns = np.nonzero(near(picture, FRAME))
    return columns.min(), rows.min(), columns.max(), rows.max()


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
    assert (states["drag 24 16 56 48"]["undo"], states["drag 24 16 56 48"]["answers"]) == (1, 3)  # opened, first, last
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


def test_a_drag_that_is_given_up(program: Program, bundle: Path, scan: Path) -> None:
    steps = (
        "drag 24 16 56 48; hold 28 20 50 40; key Esc; hold 28 20 50 40; key Ctrl+Z; key Esc; click 52 32; key Ctrl+Z"
    )
    states = run(program, bundle, scan, steps)
    drawn = states["drag 24 16 56 48"]
    for step in ("hold 28 20 50 40", "hold 28 20 50 40 #2"):
        assert states[step]["undo"] == 2
        assert states[step]["digest"] != drawn["digest"]
    for step in ("key Esc", "key Ctrl+Z", "key Esc #2", "key Ctrl+Z #2"):
        assert (states[step]["digest"], states[step]["undo"]) == (drawn["digest"], 1), step


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


def test_planes_are_shown_to_scale(program: Program, bundle: Path, scan: Path, tmp_path: Path) -> None:
    shots = f"drag 24 16 56 48; key Y; drag 20 3 59 12; shot {tmp_path}/y.png"
    run(program, bundle, scan, shots)
    left, top, right, bottom = frame_of(screenshot(tmp_path / "y.png"))
    assert (bottom - top) / (right - left) == pytest.approx(10 * SPACING[2] / (40 * SPACING[0]), rel=0.02)


def test_an_sform_states_the_spacing(
    program: Program, exact: Engine, bundle: Path, volume: NDArray[np.int16], tmp_path: Path
) -> None:
    """Its columns do, also where pixdim says something else; without one, pixdim does."""
    file = tmp_path / "scan.nii"
    sitk.WriteImage(itk_image(volume), str(file))
    header = bytearray(file.read_bytes())
    assert struct.unpack("<hh", header[252:256])[1] > 0  # sform_code
    header[80:92] = struct.pack("<3f", 0.75, 1.5, 0.75)  # pixdim
    steps = f"drag 24 16 56 48; key P; key Y; drag 20 3 59 12; shot {tmp_path}/shot.png"
    for sform, spacing in ((1, SPACING), (0, (0.75, 1.5, 0.75))):
        header[254:256] = struct.pack("<h", sform)
        file.write_bytes(header)
        states = run(program, bundle, file, steps)
        left, top, right, bottom = frame_of(screenshot(tmp_path / "shot.png"))
        assert (bottom - top) / (right - left) == pytest.approx(10 * spacing[2] / (40 * spacing[0]), rel=0.02)
        session = Session(exact, volume, spacing, window="percentile")
        session.add_box("object 1", [24, 16, 56, 48], slice=8)
        session.propagate("object 1")
        assert states["key P"]["digest"] == digest(session.labels())


def quarters(picture: NDArray[np.int64]) -> list[list[float]]:
    """The mean brightness of the four quarters of a picture's middle."""
    middle = picture[200:440, 275:515]
    return [[float(part.mean()) for part in np.split(half, 2, axis=1)] for half in np.split(middle, 2)]


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "LPI", "SRP", "ASL", "PIR"])
def test_the_patient_is_shown_the_same_way_up_however_the_file_is_stored(
    program: Program, bundle: Path, tmp_path: Path, orientation: str
) -> None:
    """ITK names the direction that an axis of the file grows to."""
    values = np.random.default_rng(3).integers(250, 350, (39, 63, 79)).astype(np.int16)
    values[:19, :31, :39] = 1500  # feet, front, right
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.8, 0.8, 1.6))
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(tmp_path / "scan.nii"))
    keys = {kind: "XYZ"[next(i for i in range(3) if orientation[i] in pair)] for kind, pair in PLANES.items()}
    # Planes beside the middle, so that they go through the bright part.
    nearer = {kind: -3 if orientation["XYZ".index(key)] in "LPS" else 3 for kind, key in keys.items()}
    steps = [f"key {key}; wheel {nearer[kind]}; shot {tmp_path}/{kind}.png" for kind, key in keys.items()]
    states = run(program, bundle, tmp_path / "scan.nii", "; ".join(steps))
    for kind, (down, across) in {"axial": (0, 0), "coronal": (1, 0), "sagittal": (1, 0)}.items():
        assert states[f"key {keys[kind]}"]["axis"] == "ZYX".index(keys[kind])
        brightness = np.array(quarters(screenshot(tmp_path / f"{kind}.png")[60:700, 10:800].astype(np.int64)))
        assert int(brightness.argmax()) == 2 * down + across, kind
        assert np.sort(brightness.ravel())[-2] < 0.5 * brightness.max(), kind


def test_a_window_sees_the_scaled_values(
    program: Program, bundle: Path, exact: Engine, tmp_path: Path, volume: NDArray[np.int16]
) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(itk_image(volume), str(path))
    header = bytearray(path.read_bytes())
    header[112:120] = struct.pack("<ff", 0.5, -700.0)  # scl_slope, scl_inter
    path.write_bytes(header)
    units = (volume * np.float32(0.5) - np.float32(700)).astype(np.float32)
    states = run(program, bundle, path, "drag 24 16 56 48", "--window", "600,-300", "--modality", "CT")
    session = Session(exact, windows.apply_window(units, "600,-300"), SPACING)
    session.add_box("object 1", [24, 16, 56, 48], slice=8)
    assert states["drag 24 16 56 48"]["digest"] == digest(session.labels())


def test_what_cannot_be_opened_is_said(program: Program, bundle: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.nii").write_bytes(b"not NIfTI")
    flat = tmp_path / "flat.nii"
    sitk.WriteImage(sitk.ReadImage(str(scan)), str(flat))
    header = bytearray(flat.read_bytes())
    header[280:284] = struct.pack("<f", 0.0)  # the first column of the sform
    header[80:84] = struct.pack("<f", 0.0)  # pixdim[1]
    flat.write_bytes(header)
    header[254:256] = struct.pack("<h", 0)  # no sform
    (tmp_path / "thin.nii").write_bytes(header)
    causes = {"absent.png": "", "broken.nii": "too early", "flat.nii": "sform: got 0", "thin.nii": "pixdim: got 0"}
    for name, cause in causes.items():
        result = program("qt_annotator", bundle, tmp_path / name, "--script", "shot none.png")
        assert result.returncode == 1
        assert name in result.stderr
        assert cause in result.stderr
    result = program("qt_annotator", bundle, scan, "--script", "shot none.png", "--window", "no such")
    assert result.returncode == 1
    assert "no such" in result.stderr


def test_labels_that_cannot_be_saved_are_said(program: Program, bundle: Path, scan: Path, tmp_path: Path) -> None:
    steps = f"drag 24 16 56 48; save {tmp_path}/absent/labels.nii; save {tmp_path}/labels.png; click 40 32"
    states = run(program, bundle, scan, steps)
    for name in (f"save {tmp_path}/absent/labels.nii", f"save {tmp_path}/labels.png"):
        assert "labels" in states[name]["error"]
    assert states["click 40 32"]["error"] == ""
    assert not list(tmp_path.iterdir())


def test_the_open_image_is_never_overwritten(
    program: Program, bundle: Path, scan: Path, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    """By any name that it goes by, neither by labels nor by a session."""
    Image.fromarray(image).save(tmp_path / "image.png")
    (tmp_path / "scan.nii.gz").write_bytes(scan.read_bytes())
    (tmp_path / "folder").mkdir()
    for name, box in (("scan.nii.gz", "24 16 56 48"), ("image.png", "30 20 90 70")):
        file, link = tmp_path / name, tmp_path / f"link.{name.partition('.')[2]}"
        link.symlink_to(file)
        before = file.read_bytes()
        names = (file, link, f"{tmp_path}/folder/../{name}")
        steps = [f"{call} {each}" for call in ("save", "save-session") for each in names]
        states = run(program, bundle, file, "; ".join([f"drag {box}", *steps, f"save {tmp_path}/labels-{name}"]))
        for step in steps:
            assert "is the image that is open" in states[step]["error"], step
        assert states[f"save {tmp_path}/labels-{name}"]["error"] == ""
        assert file.read_bytes() == before
        assert link.is_symlink()
