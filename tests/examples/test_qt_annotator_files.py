# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/qt_annotator offscreen: which files it opens and writes, and where it shows a volume's voxels."""

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from annotator_run import SPACING, Program, digest, frame_of, itk_image, run, screenshot
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import Engine, Session, windows

PLANES = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}  # across which direction they lie


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
