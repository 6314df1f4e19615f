# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment` on medical files: what the engine is given, and where its answer is written.

The engine is replaced by one that fills the boxes, so that every voxel of the answer is known; one test at the end runs
the real one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stand_in import EngineStandIn
from numpy.typing import NDArray

from medsam_engine import Engine, io
from medsam_engine.show.preview import Marks, contact_sheet
from medsam_engine.show.slice_axes import slice_axes
from medsam_engine.windows import apply_window

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from medsam_engine.cli.app import run

DIRECTION = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Hounsfield units (6, 20, 30) on a grid whose axes are permuted and flipped."""
    values = np.random.default_rng(0).integers(-900, 900, (6, 20, 30)).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.5, 0.75, 4.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection(DIRECTION)
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    return tmp_path / "ct.nii.gz"


class Filler(EngineStandIn):  # type: ignore[misc]  # imported from the tests' own folder
    """Stands in for Engine: every box is its own mask."""

    seen: NDArray[np.generic]

    def segment_volume(
        self, volume: NDArray[np.generic], boxes: NDArray[np.float64], progress: Callable[[int, int], object]
    ) -> NDArray[np.uint16]:
        Filler.seen = volume
        labels = np.zeros(volume.shape[:3], np.uint16)
        for k, (x0, y0, z0, x1, y1, z1) in enumerate(boxes.astype(int), start=1):
            labels[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = k
            progress(k, len(boxes))
        return labels

    def encode(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        Filler.seen = image
        return image

    def segment(self, embedding: NDArray[np.generic], boxes: NDArray[np.float64]) -> NDArray[np.uint16]:
        labels = np.zeros(embedding.shape[:2], np.uint16)
        for k, (x0, y0, x1, y1) in enumerate(boxes.astype(int), start=1):
            labels[y0 : y1 + 1, x0 : x1 + 1] = k
        return labels


@pytest.fixture
def filler(monkeypatch: pytest.MonkeyPatch) -> type[Filler]:
    monkeypatch.setattr("medsam_engine.cli.model_options.Engine", Filler)
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", "none is read")
    return Filler


@pytest.mark.usefixtures("filler")
@pytest.mark.parametrize("target", ["m.nii.gz", "m.nrrd", "m.mha", "m.npz"])
def test_boxes_in_voxels(tmp_path: Path, volume: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, preview = tmp_path / target, tmp_path / "p.png"
    boxes = ["--box", "3,4,1,10,9,4", "--box", "20,12,0,29,19,5"]
    assert run(["segment", str(volume), *boxes, "-o", str(out), "--preview", str(preview), "--modality", "CT"]) == 0
    labels, image = io.read_labels(out)
    expected = np.zeros((6, 20, 30), np.uint8)
    expected[1:5, 4:10, 3:11], expected[:, 12:, 20:] = 1, 2
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(Filler.seen, apply_window(io.read(volume).array, "abdomen"))
    if target != "m.npz":
        np.testing.assert_allclose(image.affine, io.read(volume).affine, atol=1e-5)
    with Image.open(preview) as sheet:
        assert sheet.mode == "RGB"
    captured = capsys.readouterr()
    assert captured.out == ""
    for words in ("window: abdomen (CT)", "segment volume", "label 1", "192 voxels", "30x20x6"):
        assert words in captured.err


def test_a_preview_without_a_finding_shows_the_slices_of_the_box(
    tmp_path: Path, volume: Path, filler: type[Filler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: Filler, pixels: NDArray[np.generic], *__: object, **___: object) -> NDArray[np.uint16]:
        return np.zeros(pixels.shape, np.uint16)

    monkeypatch.setattr(filler, "segment_volume", nothing)
    arguments = ["segment", str(volume), "--box", "3,4,1,10,9,2", "-o", str(tmp_path / "m.nii.gz")]
    assert run([*arguments, "--preview", str(tmp_path / "p.png"), "--window", "lung"]) == 0
    image = io.read(volume)
    whole = apply_window(image.array, "lung")
    marks = Marks(np.array([[3.0, 4, 1, 10, 9, 2]]), np.array([1]))
    with Image.open(tmp_path / "p.png") as sheet:
        expected = contact_sheet(
            whole, np.zeros(whole.shape, np.uint16), slices=[1, 2], marks=marks, axes=slice_axes(image)
        )
        np.testing.assert_array_equal(np.asarray(sheet), expected)


@pytest.mark.usefixtures("filler")
def test_boxes_in_millimeters(tmp_path: Path, volume: Path) -> None:
    image = io.read(volume)
    corners = (image.affine @ np.array([[10, 9, 4, 1], [3, 4, 1, 1]]).T)[:3].T.ravel()
    box = ",".join(f"{value:.4f}" for value in corners)
    assert run(["segment", str(volume), f"--box-mm={box}", "-o", str(tmp_path / "m.nrrd")]) == 0
    labels, _ = io.read_labels(tmp_path / "m.nrrd")
    assert labels[1:5, 4:10, 3:11].all()
    assert labels.sum() == 4 * 6 * 8


@pytest.mark.usefixtures("filler")
def test_boxes_from_labels_keep_their_numbers(tmp_path: Path, volume: Path) -> None:
    labels = np.zeros((6, 20, 30), np.uint16)
    labels[2:4, 5:9, 6:12], labels[0, 15, 20] = 300, 7
    io.write(tmp_path / "l.nii.gz", labels, io.read(volume))
    arguments = ["segment", str(volume), "--boxes-from", str(tmp_path / "l.nii.gz"), "-o", str(tmp_path / "m.nii.gz")]
    assert run(arguments) == 0
    np.testing.assert_array_equal(io.read_labels(tmp_path / "m.nii.gz")[0], labels)
    assert run([*arguments, "--jitter", "3", "--seed", "1"]) == 0
    loose = io.read_labels(tmp_path / "m.nii.gz")[0]
    assert (loose[labels > 0] == labels[labels > 0]).all()
    assert np.count_nonzero(loose) > np.count_nonzero(labels)
    assert not loose[4:].any()


@pytest.mark.usefixtures("filler")
def test_windows_and_volumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(1).integers(-900, 900, (2, 3, 8, 9)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=False), str(tmp_path / "a.nrrd"))
    arguments = ["segment", str(tmp_path / "a.nrrd"), "--box", "0,0,0,3,3,1", "-o", str(tmp_path / "m.nrrd")]
    assert run(arguments) == 2
    assert "--volume N" in capsys.readouterr().err
    for options, window in (
        (["--window", "lung"], "lung"),
        (["--window", "300,10"], "300,10"),
        (["--modality", "mr"], "percentile"),
        ([], "full"),
    ):
        assert run([*arguments, "--volume", "1", *options]) == 0
        # The window is of the whole volume; slices that no box reaches are not made.
        np.testing.assert_array_equal(Filler.seen[:2], apply_window(values[1], window)[:2])
        assert not Filler.seen[2].any()
    assert "unknown modality" in capsys.readouterr().err


@pytest.mark.usefixtures("filler")
def test_one_slice_takes_flat_boxes(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((1, 8, 9), np.int16)), str(tmp_path / "a.nrrd"))
    assert run(["segment", str(tmp_path / "a.nrrd"), "--box", "1,2,3,4", "-o", str(tmp_path / "m.png")]) == 0
    with Image.open(tmp_path / "m.png") as mask:
        assert np.count_nonzero(np.asarray(mask)) == 9


@pytest.mark.usefixtures("filler")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["VOLUME", "--box", "1,2,3,4"], "x0,y0,z0,x1,y1,z1"),
        (["VOLUME", "--box", "1,2,3,4,5"], "x0,y0,z0,x1,y1,z1"),
        (["VOLUME", "--box", "1,2,3,4", "--box", "1,2,3,4,5,6"], "one kind"),
        (["PICTURE", "--box", "1,2,3,4,5,6"], "x0,y0,x1,y1"),
        (["VOLUME", "--box-mm", "0,0,0,900,0,0"], "LPS"),
        (["PICTURE", "--box-mm", "0,0,5,5"], "no pixel spacing"),
        (["VOLUME", "--point", "3,4,1"], "expected boxes"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--box-mm", "1,2,3,4,5,6"], "one of them"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--jitter", "3"], "--boxes-from"),
        (["VOLUME", "--boxes-from", "missing.nii"], "no such file"),
        (["VOLUME", "--boxes-from", "OTHER"], "expected (6, 20, 30)"),
        (["VOLUME", "--boxes-from", "MOVED"], "away from"),
        (["VOLUME", "--boxes-from", "EMPTY"], "no label above 0"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--window", "liver"], "abdomen"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--volume", "1"], "expected 0 to 0"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--series", "1.2"], "folder"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "-o", "OUT.png"], "volume format"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "-o", "OUT.dcm"], "DICOM image"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "-o", "VOLUME"], "different files"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--preview", "OUT.jpg"], ".png"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, volume: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    image = io.read(volume)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "picture.png")
    np.savez(tmp_path / "other.npz", segs=np.ones((6, 20, 31), np.uint8))
    io.write(tmp_path / "empty.nrrd", np.zeros((6, 20, 30), np.uint8), image)
    moved = sitk.GetImageFromArray(np.ones((6, 20, 30), np.uint8))
    sitk.WriteImage(moved, str(tmp_path / "moved.nrrd"))
    names = {
        "VOLUME": str(volume),
        "PICTURE": str(tmp_path / "picture.png"),
        "OTHER": str(tmp_path / "other.npz"),
        "MOVED": str(tmp_path / "moved.nrrd"),
        "EMPTY": str(tmp_path / "empty.nrrd"),
    }
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = [names.get(a, a.replace("OUT", str(tmp_path / "out"))) for a in arguments]
    output = [] if "-o" in command else ["-o", str(tmp_path / "m.nii.gz")]
    assert run(["segment", *command, *output]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("medsam-engine: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_points_on_one_slice(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))
    y, x = np.mgrid[:64, :80]
    disc = ((x - 40) / 16) ** 2 + ((y - 30) / 14) ** 2 < 1
    values = (np.where(disc, 190, 60) + np.random.default_rng(2).integers(-9, 9, disc.shape)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(values[np.newaxis]), str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([values] * 2)), str(tmp_path / "two.nii.gz"))
    Image.fromarray(values).save(tmp_path / "a.png")
    for name, expected in (("a.nii.gz", (1, 64, 80)), ("a.png", (64, 80))):
        for k, boxes in enumerate(([], ["--box", "22,14,58,46"])):
            prompts = ["--point", "40,30,1", "--point", "5,5,0", "--allow-untrained", *boxes]
            output = tmp_path / f"{name}.{k}.nrrd"
            assert run(["segment", str(tmp_path / name), *prompts, "-o", str(output)]) == 0
            labels = io.read_labels(output)[0]
            assert labels.shape == expected
    for k in (0, 1):
        one, flat = (io.read_labels(tmp_path / f"{name}.{k}.nrrd")[0] for name in ("a.nii.gz", "a.png"))
        np.testing.assert_array_equal(one[0], flat)
    assert flat.any()
    arguments = ["segment", str(tmp_path / "two.nii.gz"), "--point", "40,30,1", "-o", str(tmp_path / "m.nrrd")]
    assert run(arguments) == 2


def test_a_dicom_series_becomes_a_seg(tmp_path: Path, filler: Any) -> None:
    pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
    highdicom = pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
    from pydicom.data import get_testdata_file

    (tmp_path / "s").mkdir()
    for k in range(3):
        dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        dataset.ImagePositionPatient = [0.0, 0.0, 5.0 * k]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        dataset.save_as(tmp_path / "s" / f"{9 - k}.dcm")
    arguments = ["segment", str(tmp_path / "s"), "--box", "10,20,1,30,40,2", "-o", str(tmp_path / "seg.dcm")]
    assert run(arguments) == 0
    assert filler.seen.dtype == np.uint8
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert seg.NumberOfFrames == 2
    assert {
        float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in seg.PerFrameFunctionalGroupsSequence
    } == {
        5.0,
        10.0,
    }
    assert int(seg.pixel_array.sum()) == 2 * 21 * 21


def test_with_the_real_engine(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))
    z, y, x = np.mgrid[:5, :64, :80]
    ball = ((x - 40) / 16) ** 2 + ((y - 30) / 14) ** 2 + ((z - 2) / 4) ** 2 < 1
    values = np.where(ball, 120, -60) + np.random.default_rng(2).integers(-20, 20, ball.shape)
    sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.int16)), str(tmp_path / "a.nii.gz"))
    arguments = ["segment", str(tmp_path / "a.nii.gz"), "--box", "24,16,0,56,44,4", "--modality", "CT"]
    assert run([*arguments, "-o", str(tmp_path / "m.nii.gz")]) == 0
    labels, _ = io.read_labels(tmp_path / "m.nii.gz")
    engine = Engine(bundle, precision="auto", cache_bytes=0)  # as the command
    expected = engine.segment_volume(apply_window(values.astype(np.int16), "abdomen"), [[24, 16, 0, 56, 44, 4]])
    np.testing.assert_array_equal(labels, expected)
    overlap = 2 * np.count_nonzero(ball & (labels == 1)) / (np.count_nonzero(ball) + np.count_nonzero(labels))
    assert overlap > 0.8
