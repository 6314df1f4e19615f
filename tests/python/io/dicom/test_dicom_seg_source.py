# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM SEG for images as hospitals and anonymizers leave them: character sets, absent and odd type-2 attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import Unsupported, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
hd = pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import slice_dataset, straight, write_series
from pydicom.dataelem import RawDataElement
from pydicom.uid import ComputedRadiographyImageStorage, UltrasoundImageStorage

TYPE_2 = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def written(folder: Path, dataset: Any) -> Any:
    """The SEG of one slice, read back; its mask is checked."""
    dataset.save_as(folder / "a.dcm", enforce_file_format=True)
    image = io.read(folder / "a.dcm")
    labels = np.zeros(image.grid, np.uint8)
    labels[3:9, 4:7] = 1
    io.check_output(folder / "seg.dcm", image)
    io.write(folder / "seg.dcm", labels, image)
    seg = hd.seg.segread(folder / "seg.dcm")
    np.testing.assert_array_equal(seg.pixel_array.reshape(labels.shape), labels)
    return seg


def a_slice(**tags: Any) -> Any:
    return slice_dataset(np.arange(20 * 30, dtype=np.uint16).reshape(20, 30), RescaleIntercept=-1024, **tags)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 149"], "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "\uff94\uff8f\uff80\uff9e^\uff80\uff9b\uff73=\u5c71\u7530^\u592a\u90ce"),
        ("ISO_IR 100", "M\u00fcller^J\u00fcrgen"),
        ("ISO_IR 144", "\u041b\u044e\u043a^\u0418\u0432\u0430\u043d"),
        ("ISO_IR 192", "\u738b^\u5c0f\u6771"),
        ("GB18030", "\u738b^\u5c0f\u4e1c"),
        ("", "Doe^John"),
        (None, "Doe^John"),
    ],
)
def test_character_sets(tmp_path: Path, charset: Any, name: str) -> None:
    seg = written(tmp_path, a_slice(SpecificCharacterSet=charset, PatientName=name))
    assert str(seg.PatientName) == name


@pytest.mark.parametrize("form", ["absent", "empty"])
@pytest.mark.parametrize("name", TYPE_2)
def test_type_2_attributes(tmp_path: Path, name: str, form: str) -> None:
    seg = written(tmp_path, a_slice(**{name: None if form == "absent" else ""}))
    assert name in seg
    assert not seg[name].value
    others = [other for other in ("PatientID", "StudyDate") if other != name]
    source = pydicom.dcmread(tmp_path / "a.dcm")
    for other in others:
        assert seg[other].value == source[other].value


def test_all_of_them_absent(tmp_path: Path) -> None:
    seg = written(tmp_path, a_slice(**dict.fromkeys((*TYPE_2, "SeriesNumber", "InstanceNumber"))))
    assert all(name in seg for name in TYPE_2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PatientSex", b"X "), ("PatientBirthDate", b"ANONYMOUS "), ("PatientBirthDate", b"00000000"),
        ("StudyDate", b"20261341"), ("StudyTime", b"noon"), ("PatientWeight", b"72,5"), ("PatientAge", b"unknown "),
        ("PatientSize", b"1,80"), ("SeriesNumber", b"-5"), ("SeriesNumber", b"first "), ("PatientName", b""),
    ],
)  # fmt: skip
def test_text_that_an_anonymizer_left(tmp_path: Path, name: str, text: bytes) -> None:
    dataset = a_slice()
    tag = pydicom.tag.Tag(name)
    dataset._dict[tag] = RawDataElement(tag, pydicom.datadict.dictionary_VR(tag), len(text), text, 0, False, True)
    written(tmp_path, dataset)


def test_an_image_that_does_not_lie_in_space(tmp_path: Path) -> None:
    absent = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    written(tmp_path, a_slice(Modality="DX", **dict.fromkeys(absent)))


@pytest.mark.parametrize("form", ["", None])
@pytest.mark.parametrize("colored", [False, True])
def test_an_image_without_a_frame_of_reference(tmp_path: Path, form: str | None, colored: bool) -> None:
    """X-rays and ultrasound images have none unless they lie in space, and neither has their SEG (PS3.3 A.51.3)."""
    tags: dict[str, Any] = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    if colored:
        pixels = np.zeros((20, 30, 3), np.uint8)
        tags |= {"SOPClassUID": UltrasoundImageStorage, "Modality": "US", "SamplesPerPixel": 3}
        tags |= {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        tags |= dict.fromkeys(("RescaleSlope", "RescaleIntercept"))
    else:
        pixels = np.zeros((20, 30), np.uint16)
        tags |= {"SOPClassUID": ComputedRadiographyImageStorage, "Modality": "CR"}
    dataset = slice_dataset(pixels, **tags)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    del dataset.FrameOfReferenceUID
    if form is not None:
        dataset.FrameOfReferenceUID = form
    seg = written(tmp_path, dataset)
    assert "FrameOfReferenceUID" not in seg
    source = io.read(tmp_path / "a.dcm")
    found = io.read_boxes(tmp_path / "seg.dcm", source)
    np.testing.assert_array_equal(found.boxes, [[4, 3, 6, 8]])
    assert found.notes == ()


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PixelSpacing"])
def test_what_a_seg_cannot_do_without_is_named(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s", np.zeros((3, 20, 30), np.int16), straight(3, 2.0), **{name: None})
    for path in (tmp_path / "s").iterdir():  # a series is told by its UID, so it is made for each file anew
        dataset = pydicom.dcmread(path)
        if name == "SeriesInstanceUID" and name in dataset:
            del dataset.SeriesInstanceUID
            dataset.save_as(path)
    with pytest.raises(Unsupported, match=f"no {name} in ") as caught:
        io.check_output(tmp_path / "seg.dcm", io.read(tmp_path / "s"))
    assert "attribute" not in str(caught.value)
    assert "\n" not in str(caught.value)


UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


@pytest.mark.parametrize("blank", [1, 3])
@pytest.mark.parametrize("form", ["", None])
@pytest.mark.parametrize("name", UIDS)
def test_blank_identifiers_are_counted(tmp_path: Path, name: str, form: str | None, blank: int) -> None:
    files = write_series(tmp_path / "s", np.zeros((3, 20, 30), np.int16), straight(3, 2.0))
    image = io.read(tmp_path / "s")
    for path in files[:blank]:  # later, because a series of which one file lacks its UID is refused earlier
        dataset = pydicom.dcmread(path)
        del dataset[name]
        if form is not None:
            setattr(dataset, name, form)
        dataset.save_as(path)
    state = "missing" if form is None else "empty"
    with pytest.raises(Unsupported) as caught:
        io.check_output(tmp_path / "seg.dcm", image)
    assert f"no {name} in {blank} of 3 files of {tmp_path / 's'} ({state}; anonymized?)" in str(caught.value)
    assert "choose .nii.gz" in str(caught.value)
    assert "restore the UIDs" in str(caught.value)


def test_all_identifiers_blank(tmp_path: Path) -> None:
    write_series(
        tmp_path / "s", np.zeros((3, 20, 30), np.int16), straight(3, 2.0), **dict.fromkeys(UIDS, ""), SOPClassUID=""
    )
    for path in (tmp_path / "s").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = ""
        dataset.save_as(path)
    listed = "SOPInstanceUID, SOPClassUID, StudyInstanceUID, SeriesInstanceUID, FrameOfReferenceUID in 3 of 3 files"
    with pytest.raises(Unsupported, match=f"got no {listed} of "):
        io.check_output(tmp_path / "seg.dcm", io.read(tmp_path / "s"))


def test_one_identifier_for_several_images(tmp_path: Path) -> None:
    files = write_series(tmp_path / "s", np.zeros((3, 20, 30), np.int16), straight(3, 2.0))
    for path in files[:2]:
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = "1.2.3"
        dataset.save_as(path)
    with pytest.raises(Unsupported, match=r"SOPInstanceUID 1\.2\.3 in 2 of 3 files"):
        io.check_output(tmp_path / "seg.dcm", io.read(tmp_path / "s"))
