# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine view`: the slices that were asked for, in the window of segment; no others are made."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine import io
from medsam_engine.cli.app import run
from medsam_engine.io.label_colors import colors_of
from medsam_engine.show.preview import Marks, contact_sheet
from medsam_engine.show.slice_axes import slice_axes
from medsam_engine.windows import Windowed, apply_window


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    values = np.random.default_rng(3).integers(-900, 900, (30, 20, 36)).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.8, 1.6, 3.0))
    image.SetOrigin((-20.0, 11.0, 5.0))
    path = tmp_path / "scan.nii"
    sitk.WriteImage(image, str(path))
    return path


def picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as file:
        assert file.mode == "RGB"
        return np.array(file)


@pytest.mark.parametrize("window", ["lung", "full", "300,20", "none"])
def test_a_sheet_shows_spread_slices_in_the_window_of_segment(tmp_path: Path, volume: Path, window: str) -> None:
    assert run(["view", str(volume), "--window", window, "-o", str(tmp_path / "s.png")]) == 0
    image = io.read(volume)
    shown, empty = apply_window(image.array, window), np.zeros(image.grid, np.uint8)
    slices = [int(z) for z in np.rint(np.linspace(0, 29, 20))]
    expected = contact_sheet(shown, empty, slices=slices, axes=slice_axes(image))
    np.testing.assert_array_equal(picture(tmp_path / "s.png"), expected)


def test_single_slices_are_large_and_in_the_order_asked_for(
    tmp_path: Path, volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["view", str(volume), "--modality", "CT", "-o", str(tmp_path / "s.png")]
    assert run([*arguments, "--slice", "7", "--slice", "3", "--slice", "7"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "window: abdomen (CT)" in said.err
    assert "slices 7, 3 of 36x20x30 voxels" in said.err
    image = io.read(volume)
    shown, empty = apply_window(image.array, "abdomen"), np.zeros(image.grid, np.uint8)
    expected = contact_sheet(shown, empty, slices=[7, 3], axes=slice_axes(image))
    np.testing.assert_array_equal(picture(tmp_path / "s.png"), expected)
    assert expected.shape[1] > 640  # of 36 voxels


def test_only_the_slices_that_are_shown_are_windowed(
    tmp_path: Path, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    before = Windowed._show

    def counted(self: Windowed, k: int) -> None:
        made.append(k)
        before(self, k)

    monkeypatch.setattr(Windowed, "_show", counted)
    maps: list[object] = []
    read = io.read

    def mapped(*arguments: object, **options: object) -> io.MedicalImage:
        maps.append(options["memory_map"])
        return read(*arguments, **options)  # type: ignore[arg-type]  # passes on what it was given

    monkeypatch.setattr("medsam_engine.cli.input_options.io.read", mapped)
    assert run(["view", str(volume), "--slice", "9", "--window", "lung", "-o", str(tmp_path / "s.png")]) == 0
    assert made == [9]
    assert maps == [True]


def test_boxes_and_labels_are_drawn(tmp_path: Path, volume: Path) -> None:
    image = io.read(volume)
    labels = np.zeros(image.grid, np.uint16)
    labels[4:9, 3:7, 10:20] = 500
    io.write(tmp_path / "l.nrrd", labels, image)
    common = ["view", str(volume), "--window", "lung", "--labels", str(tmp_path / "l.nrrd")]
    assert run([*common, "--box", "2,3,4,11,9,6", "--box", "20,3,5,30,9,5", "-o", str(tmp_path / "v.png")]) == 0
    marks = Marks(np.array([[2.0, 3, 4, 11, 9, 6], [20, 3, 5, 30, 9, 5]]), np.array([1, 2]))
    expected = contact_sheet(
        apply_window(image.array, "lung"), labels, slices=range(3, 8), marks=marks, axes=slice_axes(image)
    )
    drawn = picture(tmp_path / "v.png")
    np.testing.assert_array_equal(drawn, expected)
    for label in (1, 2, 500):
        assert (drawn == colors_of([label])[0]).all(axis=2).any()
    # The same box in millimeters, from the numbers that the axes show.
    corners = "-18.4,15.8,17,-11.2,25.4,23"
    one = ["--slice", "4", "--slice", "6"]
    assert run([*common, *one, f"--box-mm={corners}", "-o", str(tmp_path / "mm.png")]) == 0
    assert run([*common, *one, "--box", "2,3,4,11,9,6", "-o", str(tmp_path / "index.png")]) == 0
    np.testing.assert_array_equal(picture(tmp_path / "mm.png"), picture(tmp_path / "index.png"))


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_an_image_has_axes_too(tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).integers(0, 250, (60, 90, 3)).astype(np.uint8)
    pixels = {"L": values[..., 0], "RGB": values, "I;16": values[..., 0].astype(np.uint16) * 200}[mode]
    Image.fromarray(pixels).save(tmp_path / "i.png")
    assert run(["view", str(tmp_path / "i.png"), "--box", "10,10,40,40", "-o", str(tmp_path / "v.png")]) == 0
    assert "no pixel spacing" in capsys.readouterr().err
    assert max(picture(tmp_path / "v.png").shape) > 640


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["VOLUME", "--slice", "30"], "--slice: got 30, expected 0 to 29"),
        (["VOLUME", "--slice", "-1"], "--slice: got -1, expected 0 to 29"),
        (["IMAGE", "--slice", "0"], "expected a volume; leave it out"),
        (["VOLUME", "--window", "liver"], "window: got 'liver'"),
        (["IMAGE", "--window", "lung"], "color image"),
        (["VOLUME", "--box", "1,2,3,4"], "got 4 numbers"),
        (["VOLUME", "--box", "1,2,3,99,5,6"], "outside the image"),
        (["VOLUME", "--box", "1,2,3,4,5,6", "--box-mm=1,2,3,4,5,6"], "expected one of them"),
        (["VOLUME", "--labels", "IMAGE"], "color image"),
        (["VOLUME", "--labels", "OTHER"], "expected the same grid"),
        (["none.nii.gz"], "none.nii.gz"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, volume: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "i.png")
    moved = sitk.ReadImage(str(volume))
    moved.SetOrigin((0.0, 0.0, 0.0))
    sitk.WriteImage(sitk.Cast(sitk.Abs(moved), sitk.sitkUInt16), str(tmp_path / "other.nii"))
    names = {"VOLUME": volume, "IMAGE": tmp_path / "i.png", "OTHER": tmp_path / "other.nii"}
    out = tmp_path / "v.png"
    assert run(["view", *(str(names.get(word, word)) for word in arguments), "-o", str(out)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert words in said[-1]
    assert said[-1].startswith("medsam-engine: ")
    assert not out.exists()


@pytest.mark.parametrize("name", ["i.png", "I.PNG", "link.png", "v.jpg", "no/v.png"])
def test_the_output_is_a_png_and_no_input(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "i.png")
    (tmp_path / "link.png").hardlink_to(tmp_path / "i.png")
    before = (tmp_path / "i.png").read_bytes()
    assert run(["view", str(tmp_path / "i.png"), "-o", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "i.png").read_bytes() == before
