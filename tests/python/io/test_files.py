# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""read and write as a whole: outputs whole or not at all, label types, DICOM SEG read back by highdicom."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, Unsupported, io
from medsam_engine.io.medical_image import DicomSource

hd = pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
from dicom_builder import straight, write_series

OBLIQUE = (0.936, 0.352, 0.0, -0.352, 0.936, 0.0)
RNG = np.random.default_rng(4)


def orthonormal(cosines: tuple[float, ...]) -> tuple[float, ...]:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    return (*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column)))


def source_files(image: io.MedicalImage) -> tuple[Path, ...]:
    assert isinstance(image.source, DicomSource)
    return image.source.files


@pytest.fixture
def series(tmp_path: Path) -> io.MedicalImage:
    directions = orthonormal(OBLIQUE)
    write_series(
        tmp_path / "series",
        RNG.integers(-900, 900, (6, 12, 10)).astype(np.int16),
        straight(6, 2.5, directions),
        directions,
        SeriesInstanceUID="1.2.826.0.1.3680043.8.498.1",
        SpecificCharacterSet="",  # as real files have it
    )
    return io.read(tmp_path / "series")


def some_labels(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    labels = np.zeros(shape, np.uint16)
    labels[1:4, 2:6, 3:8] = 1
    labels[2:5, 7:10, 1:4] = 3  # 2 is an object that was not found
    return labels


def test_dicom_seg_is_read_back_by_highdicom(tmp_path: Path, series: io.MedicalImage) -> None:
    labels = some_labels(series.grid)
    assert io.write(tmp_path / "seg.dcm", labels, series) == "DICOM SEG"
    seg = hd.seg.segread(tmp_path / "seg.dcm")
    assert [int(item.SegmentNumber) for item in seg.SegmentSequence] == [1, 2, 3]
    source = pydicom.dcmread(source_files(series)[0])
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert (seg.PatientID, seg.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    lightness = seg.SegmentSequence[0].RecommendedDisplayCIELabValue[0]
    assert lightness == pytest.approx(0xFFFF * 0.532, abs=200)  # L* of the first color, red, is 53.2
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    uids = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in source_files(series)]
    assert {str(item.ReferencedSOPInstanceUID) for item in referenced.ReferencedInstanceSequence} == set(uids)
    # Each slice asked for by its own identifier, so that an order gone wrong cannot cancel out.
    for k, uid in enumerate(uids):
        found = seg.get_pixels_by_source_instance([uid], combine_segments=True, assert_missing_frames_are_empty=True)
        np.testing.assert_array_equal(found[0], labels[k], err_msg=f"slice {k}")
    volume = seg.get_volume(combine_segments=True)
    # highdicom's volumes run against the normal: its first slice is our last one that has a label.
    last = series.affine @ np.array([0, 0, 4, 1])
    np.testing.assert_allclose(volume.affine[:3, 3], last[:3], atol=1e-4)
    np.testing.assert_array_equal(volume.array, labels[4:0:-1])


def test_a_seg_that_cannot_be_is_said_before_the_work(tmp_path: Path) -> None:
    write_series(tmp_path / "s", np.zeros((3, 12, 10), np.int16), straight(3, 2.0), StudyInstanceUID=None)
    with pytest.raises(Unsupported, match="StudyInstanceUID"):
        io.check_output(tmp_path / "seg.dcm", io.read(tmp_path / "s"))


def test_dicom_seg_needs_dicom_and_labels(tmp_path: Path, series: io.MedicalImage) -> None:
    with pytest.raises(InvalidArgument, match="none above 0"):
        io.write(tmp_path / "seg.dcm", np.zeros(series.grid, np.uint8), series)
    io.write(tmp_path / "m.nrrd", some_labels(series.grid), series)
    with pytest.raises(InvalidArgument, match="DICOM image behind a DICOM SEG"):
        io.write(tmp_path / "seg.dcm", some_labels(series.grid), io.read(tmp_path / "m.nrrd"))
    os.remove(source_files(series)[2])
    with pytest.raises((InvalidArgument, FileNotFoundError)):
        io.write(tmp_path / "seg.dcm", some_labels(series.grid), series)
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nii", "m.nrrd", "m.mha"])
def test_volumes_of_a_series(tmp_path: Path, series: io.MedicalImage, name: str) -> None:
    labels = some_labels(series.grid)
    io.write(tmp_path / name, labels, series)
    read, image = io.read_labels(tmp_path / name)
    np.testing.assert_array_equal(read, labels)
    np.testing.assert_allclose(image.affine, series.affine, atol=1e-4)


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nrrd", "m.mha", "m.npz", "m.png"])
@pytest.mark.parametrize(("highest", "dtype"), [(255, "uint8"), (256, "uint16"), (65535, "uint16"), (70000, "uint32")])
def test_label_types(tmp_path: Path, name: str, highest: int, dtype: str) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "a.png")
    image = io.read(tmp_path / "a.png")
    labels = np.zeros((5, 6), np.uint32)
    labels[2, 3] = highest
    if name == "m.png" and highest > 65535:
        with pytest.raises(InvalidArgument, match="70000"):
            io.write(tmp_path / name, labels, image)
        return
    io.write(tmp_path / name, labels, image)
    read, _ = io.read_labels(tmp_path / name)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read.reshape(5, 6), labels)


def test_labels_that_do_not_belong(tmp_path: Path, series: io.MedicalImage) -> None:
    for wrong in (
        np.zeros((6, 12, 11), np.uint8),
        np.zeros((12, 10), np.uint8),
        np.zeros(series.grid, np.int16),
        np.zeros(series.grid, np.float32),
    ):
        with pytest.raises(InvalidArgument, match="labels"):
            io.write(tmp_path / "m.nii.gz", wrong, series)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["series"]


def test_places_that_cannot_be_written(tmp_path: Path, series: io.MedicalImage) -> None:
    labels = some_labels(series.grid)
    for name, message in {
        "m.png": "volume format",
        "m.jpg": "name ending in",
        "m": "name ending in",
        "no/such/m.nii": "existing folder",
    }.items():
        with pytest.raises(InvalidArgument, match=message):
            io.write(tmp_path / name, labels, series)


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nrrd", "m.dcm", "m.npz"])
def test_a_failed_write_leaves_the_older_file(
    tmp_path: Path, series: io.MedicalImage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    io.write(tmp_path / name, some_labels(series.grid), series)
    before = (tmp_path / name).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InvalidArgument, match="No space left"):
        io.write(tmp_path / name, some_labels(series.grid)[::-1].copy(), series)
    assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "series"])


def test_read_labels_refuses_what_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", segs=np.zeros((3, 3)))
    np.savez(tmp_path / "k.npz", other=np.zeros((3, 3)))
    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(tmp_path / "c.png")
    Image.fromarray(np.full((3, 3), 0.5, np.float32)).save(tmp_path / "f.tif")
    Image.fromarray(np.full((3, 3), -1, np.int32)).save(tmp_path / "n.tif")
    for name, message in {
        "f.npz": "integers",
        "k.npz": "expected segs or gts",
        "c.png": "color",
        "f.tif": "fractions",
        "n.tif": "0 or more",
    }.items():
        with pytest.raises(InvalidArgument, match=message):
            io.read_labels(tmp_path / name)


def test_arguments_that_do_not_fit(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InvalidArgument, match="volume"):
        io.read(tmp_path / "a.png", volume=0)
    with pytest.raises(InvalidArgument, match="folder"):
        io.read(tmp_path / "a.png", series="1.2")
    with pytest.raises(InvalidArgument, match="no such file"):
        io.read(tmp_path / "missing.nii")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    (tmp_path / "a.nrrd").write_bytes(b"")
    with pytest.raises(Unsupported, match=r"got no package SimpleITK.*pip install \"SimpleITK"):
        io.read(tmp_path / "a.nrrd")
