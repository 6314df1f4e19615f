# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM attributes that are no numbers, and frames that do not go together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import item, read, save, slice_dataset, stored
from pydicom.dataelem import RawDataElement
from pydicom.uid import RLELossless

SYNTAXES = {"raw": None, "rle": RLELossless}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PixelSpacing", b"0,8\\0,7 "),
        ("PixelSpacing", b"0.8 "),
        ("PixelSpacing", b"0.8\\ "),
        ("RescaleSlope", b"1,0 "),
        ("RescaleIntercept", b"-1024,0"),
        ("RescaleSlope", b"1\\2 "),
        ("ImagePositionPatient", b"0,0\\0,0\\1,5 "),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1 "),
        ("SliceThickness", b"2,5 "),
        ("NumberOfFrames", b"one "),
        ("RescaleSlope", b"1e400 "),
        ("RescaleSlope", b"nan "),
        ("SliceThickness", b"inf "),
        ("SpacingBetweenSlices", b"n/a "),
    ],
)
def test_text_where_a_number_belongs(tmp_path: Path, name: str, text: bytes) -> None:
    dataset = slice_dataset(stored())
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(name))
    vr = pydicom.datadict.dictionary_VR(tag)
    dataset._dict[tag] = RawDataElement(tag, vr, len(text), text, 0, False, True)
    (tmp_path / "s").mkdir()
    save(tmp_path / "s" / "a.dcm", dataset)
    for path in (tmp_path / "s" / "a.dcm", tmp_path / "s"):
        with pytest.raises(InvalidArgument) as caught:
            io.read(path)
        message = str(caught.value)
        assert "\n" not in message
        for word in (name, "a.dcm", text.decode().split("\\")[0].strip(), "expected", "correct the tag"):
            assert word in message


def test_text_in_a_functional_group(tmp_path: Path) -> None:
    dataset = enhanced(stored(3, 4, 5))
    group = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    tag = pydicom.tag.Tag("ImagePositionPatient")
    text = b"0,0\\0,0\\1,5 "
    group._dict[tag] = RawDataElement(tag, "DS", len(text), text, 0, False, True)
    with pytest.raises(InvalidArgument, match="ImagePositionPatient"):
        read(tmp_path / "a.dcm", dataset)


def enhanced(volume: NDArray[np.generic], shared_rule: bool = False) -> Any:
    """An enhanced CT of (F, H, W), a rule for each frame or one for all."""
    dataset = slice_dataset(
        volume[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None, SliceThickness=None,
        RescaleSlope=None, RescaleIntercept=None,
    )  # fmt: skip
    dataset.NumberOfFrames, dataset.PixelData = len(volume), volume.tobytes()

    def rule(k: int) -> list[Any]:
        return [item(RescaleSlope=1 + k, RescaleIntercept=-1024)]

    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    if shared_rule:
        shared.PixelValueTransformationSequence = rule(0)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, 2.0 * k])],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)],
            **({} if shared_rule else {"PixelValueTransformationSequence": rule(k)}),
        )
        for k in range(len(volume))
    ]
    return dataset


def test_a_rule_per_frame(tmp_path: Path) -> None:
    volume = stored(3, 4, 5)
    image = read(tmp_path / "a.dcm", enhanced(volume))
    np.testing.assert_array_equal(image.array, volume.astype(int) * np.array([1, 2, 3]).reshape(3, 1, 1) - 1024)
    assert image.positioned
    assert image.hounsfield


@pytest.mark.parametrize("shared_rule", [True, False])
@pytest.mark.parametrize(
    "sequence", ["PlanePositionSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence", "all"]
)
@pytest.mark.parametrize("frame", [0, 1, 2])
def test_a_frame_that_lacks_something(tmp_path: Path, sequence: str, frame: int, shared_rule: bool) -> None:
    dataset = enhanced(stored(3, 4, 5), shared_rule)
    if sequence == "all":
        del dataset.PerFrameFunctionalGroupsSequence[frame]
    elif sequence in dataset.PerFrameFunctionalGroupsSequence[frame]:
        delattr(dataset.PerFrameFunctionalGroupsSequence[frame], sequence)
    else:
        pytest.skip("the rule is in the shared group")
    words = "2 items of PerFrame" if sequence == "all" else f"frame {frame + 1} of 3"
    with pytest.raises(InvalidArgument, match=words):
        read(tmp_path / "a.dcm", dataset)


def test_a_frame_too_many_in_the_list(tmp_path: Path) -> None:
    dataset = enhanced(stored(3, 4, 5))
    dataset.PerFrameFunctionalGroupsSequence.append(dataset.PerFrameFunctionalGroupsSequence[0])
    with pytest.raises(InvalidArgument, match="4 items"):
        read(tmp_path / "a.dcm", dataset)


@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("syntax", ["raw", "rle"])
def test_a_wrong_number_of_frames(tmp_path: Path, frames: int, syntax: str) -> None:
    dataset = slice_dataset(stored(64, 60), Modality="MR")
    dataset.NumberOfFrames, dataset.PixelData = 3, stored(3, 64, 60).tobytes()
    if SYNTAXES[syntax] is not None:
        dataset.compress(SYNTAXES[syntax])
    dataset.NumberOfFrames = frames
    with pytest.raises(InvalidArgument):
        read(tmp_path / "a.dcm", dataset)
