# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A series is whole or refused: entries that look like its slices and cannot be read, copies, and mixtures."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_stand_in import EngineStandIn
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from dicom_builder import slice_dataset, straight, write_series

from medsam_engine.cli.app import run

VALUES = np.random.default_rng(11).integers(-900, 900, (6, 12, 10)).astype(np.int16)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """000.dcm to 005.dcm in the order of their positions, 30 to 45 mm."""
    folder = tmp_path / "series"
    for k, path in enumerate(write_series(folder, VALUES, straight(6, 3.0))):
        path.rename(folder / f"{k:03d}_")
    for path in folder.iterdir():
        path.rename(folder / f"{path.name[:-1]}.dcm")
    return folder


def cut_off(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("../annex/objects/not-fetched")


def looped(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def half_fetched(path: Path) -> None:
    path.rename(path.with_name("000.dcm.part"))
    cut_off(path.with_name("000.dcm.part"), 100)


def no_number(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    tag = pydicom.tag.Tag("ImagePositionPatient")
    dataset._dict[tag] = pydicom.dataelem.RawDataElement(tag, "DS", 8, b"0,0\\0\\1 ", 0, False, True)
    dataset.save_as(path, enforce_file_format=True)


BROKEN = [
    pytest.param(linked, id="dangling link", marks=pytest.mark.needs("links")),
    pytest.param(looped, id="link in a loop", marks=pytest.mark.needs("links")),
    pytest.param(lambda path: cut_off(path, 0), id="empty"),
    pytest.param(lambda path: cut_off(path, 300), id="only the header's start"),
    pytest.param(lambda path: cut_off(path, 132), id="only the preamble"),
    pytest.param(lambda path: cut_off(path, 100), id="no magic"),
    pytest.param(
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), id="a pointer to large files"
    ),
    pytest.param(piped, id="a pipe", marks=pytest.mark.needs("pipes")),
    pytest.param(a_folder, id="a folder"),
    pytest.param(half_fetched, id="half fetched"),
    pytest.param(no_number, id="a comma"),
]


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("which", [0, 3, 5])
def test_what_looks_like_a_slice_is_refused_by_name(series: Path, how: Callable[[Path], object], which: int) -> None:
    how(series / "000.dcm" if how is half_fetched else series / f"{which:03d}.dcm")
    with pytest.raises(InvalidArgument, match=r"--skip-unreadable") as caught:
        io.read(series)
    message = str(caught.value)
    assert ("000" if how is half_fetched else f"{which:03d}") + ".dcm" in message
    assert "\n" not in message


@pytest.mark.parametrize("how", BROKEN)
def test_skipping_says_what_is_missing_where(series: Path, how: Callable[[Path], object]) -> None:
    how(series / "000.dcm")
    image = io.read(series, skip_unreadable=True)
    np.testing.assert_array_equal(image.array, VALUES[1:])
    assert image.origin[2] == 33.0
    (note,) = [note for note in image.notes if note.startswith("missing from the volume")]
    assert "000.dcm" in note
    assert "before 001.dcm (33.00 mm)" in note


def test_a_middle_slice_leaves_a_gap_that_is_refused(series: Path) -> None:
    cut_off(series / "003.dcm", 0)
    with pytest.raises(InvalidArgument, match="about 1 missing"):
        io.read(series, skip_unreadable=True)


def test_damaged_pixels_are_named_with_their_place(series: Path) -> None:
    path = series / "005.dcm"
    cut_off(path, path.stat().st_size - 60)
    with pytest.raises(InvalidArgument, match=r"005\.dcm"):
        io.read(series)
    image = io.read(series, skip_unreadable=True)
    np.testing.assert_array_equal(image.array, VALUES[:5])
    assert any("005.dcm" in note and "45.00 mm" in note for note in image.notes)


def test_permission_is_named(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refused(path: str, *arguments: object, **options: object) -> int:
        if str(path).endswith("002.dcm"):  # root may read anything
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(InvalidArgument, match=r"002\.dcm: .*Permission denied"):
        io.read(series)


@pytest.mark.needs("links")
def test_nothing_but_unreadable_slices(tmp_path: Path) -> None:
    (tmp_path / "000.dcm").symlink_to("gone")
    (tmp_path / "001.dcm").touch()
    with pytest.raises(InvalidArgument, match=r"2 entries.*000\.dcm.*001\.dcm"):
        io.read(tmp_path)
    with pytest.raises(InvalidArgument, match="no DICOM image"):
        io.read(tmp_path, skip_unreadable=True)


@pytest.mark.needs("links")
def test_what_is_beside_a_series_stays_beside_it(series: Path) -> None:
    for name in (
        "readme.txt",
        "notes.json",
        "series.zip",
        "Thumbs.db",
        "._000.dcm",
        ".DS_Store",
        "DICOMDIR",
        "dicomdir",
    ):
        (series / name).write_bytes(b"\0\5\26\7" if name.startswith(".") else b"text")
    (series / "old.txt").symlink_to("gone")
    (series / "sub").mkdir()
    write_series(series / "sub", VALUES[:3], straight(3, 1.0))
    np.testing.assert_array_equal(io.read(series).array, VALUES)


@pytest.mark.needs("links")
def test_names_without_an_ending(series: Path) -> None:
    for path in list(series.iterdir()):
        path.rename(path.with_name(f"1.2.840.{path.stem}"))
    (series / "README").write_text("what is here")
    np.testing.assert_array_equal(io.read(series).array, VALUES)
    linked(series / "1.2.840.000")
    with pytest.raises(InvalidArgument, match=r"1\.2\.840\.000"):
        io.read(series)
    (series / "1.2.840.000").unlink()
    (series / "lost").symlink_to("gone")
    with pytest.raises(InvalidArgument, match="lost"):
        io.read(series)


def test_a_damaged_file_of_another_series_does_not_matter(series: Path) -> None:
    uid = pydicom.dcmread(series / "000.dcm").SeriesInstanceUID
    for k in range(2):
        slice_dataset(VALUES[k], SeriesInstanceUID="1.2.3", ImagePositionPatient=[0, 0, 9.0 * k]).save_as(
            series / f"loc{k}.dcm", enforce_file_format=True
        )
    broken = series / "loc1.dcm"
    content = broken.read_bytes()
    broken.write_bytes(content[: content.index(b"1.2.3\0") + 40])  # behind the series' identifier
    np.testing.assert_array_equal(io.read(series, series=uid).array, VALUES)
    with pytest.raises(InvalidArgument, match=r"loc1\.dcm"):
        io.read(series, series="1.2.3")


def test_a_damaged_slice_that_names_another_series_is_a_slice(series: Path) -> None:
    """Bytes that are missing from its header can change what it says of itself; the volume had twice the spacing."""
    middle = series / "003.dcm"
    dataset = pydicom.dcmread(middle)
    uid = dataset.SeriesInstanceUID.encode()
    changed = uid[:-1] + (b"8" if uid.endswith(b"9") else b"9")
    content = middle.read_bytes().replace(uid, changed)
    middle.write_bytes(content[: content.index(changed) + len(changed) + 40])
    with pytest.raises(InvalidArgument, match=r"003\.dcm"):
        io.read(series)


def test_a_hidden_slice_is_a_slice(series: Path) -> None:
    (series / "000.dcm").rename(series / ".000.dcm")
    np.testing.assert_array_equal(io.read(series).array, VALUES)


def bare(path: Path, implicit: bool, little: bool = True) -> None:
    dataset = pydicom.dcmread(path)
    if not little:
        dataset["PixelData"].value = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
    plain = pydicom.Dataset()
    plain.update({element.tag: element for element in dataset})
    pydicom.dcmwrite(path, plain, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"


@pytest.mark.parametrize("encoding", [(True, True), (False, True), (False, False)], ids=["implicit", "explicit", "big"])
def test_a_file_without_preamble_is_read(series: Path, encoding: tuple[bool, bool]) -> None:
    bare(series / "000.dcm", *encoding)
    np.testing.assert_array_equal(io.read(series).array, VALUES)
    np.testing.assert_array_equal(io.read(series / "000.dcm").array, VALUES[0])
    (series / "000.dcm").rename(series / "IM0")
    np.testing.assert_array_equal(io.read(series / "IM0").array, VALUES[0])
    assert io.read(series).array.shape == (6, 12, 10)


@pytest.mark.parametrize("content", [b"text of some length\n" * 20, b"\x08\x00\x05\x00CS\x0a\x00" + b"x" * 300, b""])
def test_what_is_no_dicom_file_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(InvalidArgument, match=r"a\.dcm"):
        io.read(tmp_path / "a.dcm")
    (tmp_path / "a.dcm").rename(tmp_path / "a")
    with pytest.raises(InvalidArgument):
        io.read(tmp_path / "a")


def compressed(source: Path, target: Path) -> None:
    dataset = pydicom.dcmread(source)
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(target, enforce_file_format=True)


@pytest.mark.parametrize(
    "how", [shutil.copy, os.link, pytest.param(os.symlink, marks=pytest.mark.needs("links")), compressed]
)
def test_copies_are_left_out_with_a_note(series: Path, how: Callable[[Path, Path], object]) -> None:
    how(series / "002.dcm", series / "002 (1).dcm")
    image = io.read(series)
    np.testing.assert_array_equal(image.array, VALUES)
    assert len(image.notes) == 1
    assert re.fullmatch(r"left out 002.*dcm: the same image as 002.*dcm", image.notes[0])


def test_one_identifier_with_other_pixels_or_another_place_is_no_copy(series: Path) -> None:
    dataset = pydicom.dcmread(series / "002.dcm")
    dataset.PixelData = VALUES[0].tobytes()
    dataset.save_as(series / "002b.dcm", enforce_file_format=True)
    with pytest.raises(InvalidArgument, match="one place"):
        io.read(series)
    (series / "002b.dcm").unlink()
    for path in series.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(io.read(series).array, VALUES)


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        ("FrameOfReferenceUID", "1.2.3.4", "frames of reference"),
        ("PhotometricInterpretation", "MONOCHROME1", "photometric"),
        ("EchoNumbers", 2, "echoes"),
        ("TemporalPositionIdentifier", 2, "time points"),
        ("PixelSpacing", [0.5, 0.76], "spacing"),
        ("ImageOrientationPatient", [0.996, 0.087, 0, -0.087, 0.996, 0], "orientation"),
    ],
)
def test_mixtures_are_refused(series: Path, tag: str, value: object, words: str) -> None:
    for path in series.iterdir():  # tags that may be absent have a value in all of them
        dataset = pydicom.dcmread(path)
        dataset.EchoNumbers = dataset.TemporalPositionIdentifier = 1
        if path.name == "004.dcm":
            setattr(dataset, tag, value)
        dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(InvalidArgument, match=rf"{words}.*004\.dcm"):
        io.read(series)


def test_steps_that_add_up(tmp_path: Path) -> None:
    positions = straight(60, 1.0)
    positions[30:, 2] += 0.045 * np.arange(1, 31)
    write_series(tmp_path, np.zeros((60, 4, 4), np.int16), positions)
    with pytest.raises(InvalidArgument, match="add up to"):
        io.read(tmp_path)


def test_slices_in_several_transfer_syntaxes(series: Path) -> None:
    compressed(series / "001.dcm", series / "001.dcm")
    bare(series / "003.dcm", implicit=True)
    np.testing.assert_array_equal(io.read(series).array, VALUES)


def test_a_position_that_is_no_number(series: Path) -> None:
    no_number(series / "001.dcm")
    with pytest.raises(InvalidArgument, match=r"ImagePositionPatient.*001\.dcm"):
        io.read(series / "001.dcm")


def filled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Filler(EngineStandIn):  # type: ignore[misc]  # imported from the tests' own folder
        def segment_volume(self, volume: NDArray[np.generic], *_: object, **__: object) -> NDArray[np.uint16]:
            return np.ones(volume.shape, np.uint16)

    monkeypatch.setattr("medsam_engine.cli.model_options.Engine", Filler)
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", "none is read")


def test_the_command(series: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    filled(monkeypatch)
    cut_off(series / "000.dcm", 0)
    arguments = ["segment", str(series), "--box", "1,1,0,5,5,3", "-o", str(series.parent / "m.nii.gz")]
    assert run(arguments) == 2
    assert "000.dcm" in capsys.readouterr().err
    assert run([*arguments, "--skip-unreadable"]) == 0
    assert "missing from the volume: 000.dcm" in capsys.readouterr().err
    assert run(["segment", str(series / "001.dcm"), "--box", "1,1,5,5", "-o", "m.png", "--skip-unreadable"]) == 2
    assert "expected a folder" in capsys.readouterr().err
