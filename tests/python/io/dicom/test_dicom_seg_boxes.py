# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes of DICOM SEG: as our writer and highdicom's make them, and by hand with the one odd thing that files have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, Unsupported, io
from medsam_engine.io.boxes import boxes_from_labels
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.decoding import decoded_frames

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
hd = pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import item, slice_dataset, straight, write_series
from label_objects import frames_of, headers, saved, seg_dataset
from pydicom.sr.codedict import codes
from pydicom.uid import JPEGLSLossless, RLELossless

OBLIQUE = (0.936, 0.352, 0.0, -0.352, 0.936, 0.0)


def normal(cosines: tuple[float, ...]) -> tuple[float, ...]:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    return (*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column)))


def a_series(folder: Path, positions: NDArray[np.float64] | None = None, **tags: Any) -> io.MedicalImage:
    directions = normal(OBLIQUE)
    places = straight(6, 2.5, directions) if positions is None else positions
    write_series(folder, np.zeros((6, 12, 10), np.int16), places, directions, **tags)
    return io.read(folder)


@pytest.fixture
def series(tmp_path: Path) -> io.MedicalImage:
    return a_series(tmp_path / "series")


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    """Three objects, not symmetric under any flip or exchange of axes; a label between is not used."""
    made = np.zeros((6, 12, 10), np.uint8)
    made[1:4, 2:6, 3:8], made[2:5, 7:11, 1:4], made[5, 0, 9] = 1, 2, 4
    return made


def check(found: io.NamedBoxes, labels: NDArray[Any], names: tuple[str, ...]) -> None:
    boxes, numbers = boxes_from_labels(labels)
    np.testing.assert_array_equal(found.labels, numbers)
    np.testing.assert_array_equal(found.boxes, boxes)
    assert found.names == names


ORGANS = ("organ 1", "organ 2", "organ 4")


def test_our_own(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]) -> None:
    names = {1: "Leber \u809d\u81d3", 4: "x" * 64}
    io.write(tmp_path / "a.dcm", labels, series, names=names)
    found = io.read_boxes(tmp_path / "a.dcm", series)
    check(found, labels, (names[1], "label 2", names[4]))
    assert found.notes == ()
    assert io.read_names(tmp_path / "a.dcm") == {1: names[1], 2: "label 2", 3: "label 3", 4: names[4]}
    assert pydicom.dcmread(tmp_path / "a.dcm").SpecificCharacterSet == "ISO_IR 192"


def test_our_own_of_images_without_a_position(tmp_path: Path) -> None:
    absent = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    saved(tmp_path / "a.dcm", slice_dataset(np.zeros((12, 10), np.uint16), Modality="DX", **absent))
    image, flat = io.read(tmp_path / "a.dcm"), np.zeros((12, 10), np.uint8)
    flat[2:6, 3:8] = 1
    io.write(tmp_path / "s.dcm", flat, image)
    check(io.read_boxes(tmp_path / "s.dcm", image), flat, ("label 1",))
    saved(tmp_path / "b.dcm", slice_dataset(np.zeros((12, 10), np.uint16), Modality="DX", **absent))
    with pytest.raises(InvalidArgument, match=r"refers to 0 slices of .* references alone"):
        io.read_boxes(tmp_path / "s.dcm", io.read(tmp_path / "b.dcm"))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "RLE", "JPEG-LS", "FRACTIONAL"])
def test_highdicoms(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], kind: str) -> None:
    labels = np.where(labels == 4, 3, labels)
    made_by = hd.AlgorithmIdentificationSequence("x", codes.cid7162.ArtificialIntelligence, "1")
    tissue = codes.SCT.Tissue
    segments = [hd.seg.SegmentDescription(k, f"organ {k}", tissue, tissue, "SEMIAUTOMATIC", made_by) for k in (1, 2, 3)]
    pixels: NDArray[Any] = labels
    options: dict[str, Any] = {"segmentation_type": kind}
    if kind == "FRACTIONAL":  # just above and just below a half
        pixels = np.stack([np.where(labels == k, 0.51, 0.49) for k in (1, 2, 3)], axis=-1)
        options["fractional_type"] = "PROBABILITY"
    elif kind not in ("BINARY", "LABELMAP"):
        syntax = RLELossless if kind == "RLE" else JPEGLSLossless
        options = {"segmentation_type": "LABELMAP", "transfer_syntax_uid": syntax}
    sources = headers(series)
    for source in sources:
        del source.SpacingBetweenSlices, source.SpecificCharacterSet
    seg = hd.seg.Segmentation(
        source_images=sources, pixel_array=pixels, segment_descriptions=segments, series_instance_uid=hd.UID(),
        series_number=1, sop_instance_uid=hd.UID(), instance_number=1, manufacturer="m", manufacturer_model_name="m",
        software_versions="1", device_serial_number="0", **options,
    )  # fmt: skip
    seg.save_as(tmp_path / "a.dcm")
    found = io.read_boxes(tmp_path / "a.dcm", series)
    check(found, labels, ("organ 1", "organ 2", "organ 3"))
    assert bool(found.notes) == (kind == "FRACTIONAL")


@pytest.mark.parametrize("size", [(11, 13), (5, 7), (12, 9), (1, 3)])
@pytest.mark.parametrize("ours", [True, False])
def test_frames_that_begin_within_a_byte(tmp_path: Path, size: tuple[int, int], ours: bool) -> None:
    """Frames of one bit per pixel follow each other without a gap (PS3.5 8.1.1): most begin at none of the bytes."""
    write_series(tmp_path / "s", np.zeros((6, *size), np.int16), straight(6, 2.5, normal(OBLIQUE)), normal(OBLIQUE))
    series = io.read(tmp_path / "s")
    labels = np.random.default_rng(1).integers(0, 4, (6, *size)).astype(np.uint8)
    labels[:, 0, :] = [[k % 3 + 1] * size[1] for k in range(6)]
    if ours and size[0] * size[1] < 8:  # highdicom would pad each frame
        with pytest.raises(Unsupported, match=r"got slices of 3x1 pixels .*expected at least 8"):
            io.write(tmp_path / "a.dcm", labels, series)
        return
    if ours:
        io.write(tmp_path / "a.dcm", labels, series)
    else:
        saved(tmp_path / "a.dcm", seg_dataset(series, frames_of(labels)))
    check(
        io.read_boxes(tmp_path / "a.dcm", series),
        labels,
        tuple(f"{'label' if ours else 'organ'} {k}" for k in (1, 2, 3)),
    )


def test_packed_frames_are_read_as_they_are_and_whole(tmp_path: Path) -> None:
    size = (11, 13)
    write_series(tmp_path / "s", np.zeros((6, *size), np.int16), straight(6, 2.5, normal(OBLIQUE)), normal(OBLIQUE))
    series = io.read(tmp_path / "s")
    stack = np.random.default_rng(2).integers(0, 2, (6, *size)).astype(np.uint8)
    made = seg_dataset(series, [(1, k, part) for k, part in enumerate(stack)])
    read = [frame.copy() for frame in decoded_frames(made, tmp_path / "a.dcm", ByteLimit.of(None))]
    np.testing.assert_array_equal(np.array(read), stack)
    made.PixelData = made.PixelData[:-2]
    with pytest.raises(InvalidArgument, match=r"got 106 bytes of pixels .*expected 108 for 6 frames of 13x11"):
        io.read_boxes(saved(tmp_path / "b.dcm", made), series)


def test_frames_in_any_order_and_overlapping_segments(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]
) -> None:
    frames = frames_of(labels)[::-1]
    overlapping = np.zeros(labels.shape, np.uint8)
    overlapping[0:5, 1:9, 2:9] = 7  # all of the first object and more
    frames = [*frames[::2], *frames_of(overlapping), *frames[1::2]]
    found = io.read_boxes(saved(tmp_path / "a.dcm", seg_dataset(series, frames)), series)
    np.testing.assert_array_equal(found.labels, [1, 2, 4, 7])
    np.testing.assert_array_equal(found.boxes[:3], boxes_from_labels(labels)[0])
    np.testing.assert_array_equal(found.boxes[3], [2, 1, 0, 8, 8, 4])


@pytest.mark.parametrize(("most", "value"), [(200, 100), (255, 128), (1, 1)])
def test_a_fraction_counts_from_half(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], most: int, value: int
) -> None:
    frames = [(n, k, np.where(mask, value, value - 1).astype(np.uint8)) for n, k, mask in frames_of(labels)]
    made = seg_dataset(series, frames, "FRACTIONAL", MaximumFractionalValue=most)
    found = io.read_boxes(saved(tmp_path / "a.dcm", made), series)
    check(found, labels, ORGANS)
    assert "from half of its MaximumFractionalValue" in found.notes[0]


@pytest.mark.parametrize("padding", [None, 0, 9])
def test_the_background_of_a_label_map(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], padding: int | None
) -> None:
    stored = np.where(labels == 0, padding or 0, labels).astype(np.uint16)
    made = seg_dataset(series, [(0, k, part) for k, part in enumerate(stored)], "LABELMAP")
    if padding is not None:
        made.PixelPaddingValue = padding
        made["PixelPaddingValue"].VR = "US"
    check(io.read_boxes(saved(tmp_path / "a.dcm", made), series), labels, ORGANS)


def test_rows_and_columns_of_a_nifti_image(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]) -> None:
    """Converters to NIfTI turn rows over and slices around: the same places, other indices."""
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(series.spacing)
    image.SetOrigin(series.origin)
    image.SetDirection(series.direction.ravel().tolist())
    sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(image, (1, 0, 2)), (False, True, True)), str(tmp_path / "a.nii.gz"))
    turned = io.read(tmp_path / "a.nii.gz")
    found = io.read_boxes(saved(tmp_path / "a.dcm", seg_dataset(series, frames_of(labels))), turned)
    check(found, turned.array, ORGANS)
    assert "frame of reference cannot be compared" in found.notes[0]


def test_slices_that_are_not_quite_even(tmp_path: Path, labels: NDArray[np.uint8]) -> None:
    """Frames may lie where the slices do, or on the even grid that ITK makes of them."""
    directions = normal(OBLIQUE)
    steps = np.array([0, 2.6, 5.2, 7.8, 10.3, 12.8])  # up to 0.12 mm off the even grid, a quarter of a pixel
    along = np.outer(steps, np.cross(directions[:3], directions[3:]))
    series = a_series(tmp_path / "series", np.array([10.0, -20.0, 30.0]) + along)
    made = seg_dataset(series, frames_of(labels))
    check(io.read_boxes(saved(tmp_path / "a.dcm", made), series), labels, ORGANS)
    for (_, k, _), group in zip(frames_of(labels), made.PerFrameFunctionalGroupsSequence, strict=True):
        position = (series.affine @ [0, 0, k, 1])[:3]
        group.PlanePositionSequence[0].ImagePositionPatient = [float(value) for value in position]
    check(io.read_boxes(saved(tmp_path / "b.dcm", made), series), labels, ORGANS)


def test_names_from_the_file_are_one_printable_line(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]
) -> None:
    made = seg_dataset(series, frames_of(labels))
    made.SegmentSequence[0].SegmentLabel = "a\x1b[2J\u202eb"
    made.SegmentSequence[1].SegmentLabel = ""
    found = io.read_boxes(saved(tmp_path / "a.dcm", made), series)
    assert found.names == ("a [2J b", "label 2", "organ 4")


def test_named_segments_without_a_voxel_are_noted(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]
) -> None:
    made = seg_dataset(series, frames_of(labels))
    made.SegmentSequence.append(item(SegmentNumber=8, SegmentLabel="spleen"))
    found = io.read_boxes(saved(tmp_path / "a.dcm", made), series)
    check(found, labels, ORGANS)
    assert found.notes == ("a.dcm: no voxel of 8 (spleen) in the image; left out",)


def test_another_series_on_the_same_grid_is_noted(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]
) -> None:
    made = seg_dataset(series, frames_of(labels), ReferencedSeriesSequence=[item(SeriesInstanceUID="1.2.3")])
    found = io.read_boxes(saved(tmp_path / "a.dcm", made), series)
    check(found, labels, ORGANS)
    assert "refers to another series (1.2.3)" in found.notes[0]


def moved(x: float, y: float, z: float) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        for group in made.PerFrameFunctionalGroupsSequence:
            place = group.PlanePositionSequence[0]
            place.ImagePositionPatient = [a + b for a, b in zip(place.ImagePositionPatient, (x, y, z), strict=True)]

    return change


def exchanged(made: Any) -> None:
    groups = made.PerFrameFunctionalGroupsSequence
    groups[0].DerivationImageSequence, groups[1].DerivationImageSequence = (
        groups[1].DerivationImageSequence, groups[0].DerivationImageSequence,
    )  # fmt: skip


def shared(name: str, tag: str, value: Any) -> Callable[[Any], None]:
    return lambda made: setattr(made.SharedFunctionalGroupsSequence[0][name][0], tag, value)


def with_tags(**tags: Any) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        for name, value in tags.items():
            if value is None:
                del made[name]
            else:
                setattr(made, name, value)

    return change


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "another frame of reference": (with_tags(FrameOfReferenceUID="1.2.3"), "frame of reference 1.2.3 in"),
    "tiled": (with_tags(TotalPixelMatrixColumns=10), "tiled"),
    "tiled by its organization": (with_tags(DimensionOrganizationType="TILED_FULL"), "whole-slide"),
    "a type of the future": (with_tags(SegmentationType="VOXEL"), "SegmentationType 'VOXEL'"),
    "a type that does not end": (with_tags(SegmentationType="LABELMAP\\" + "x" * 9000), "SegmentationType"),
    "no type": (with_tags(SegmentationType=None), "SegmentationType ''"),
    "no frames": (with_tags(PerFrameFunctionalGroupsSequence=None), "no PerFrameFunctionalGroupsSequence"),
    "one frame too few": (lambda made: made.PerFrameFunctionalGroupsSequence.pop(), "one per frame"),
    "a fifth of a pixel aside": (moved(0.1, 0.1, 0.0), "off the slices and voxels"),
    "between slices": (moved(0.0, 0.0, 1.2), "off the slices and voxels"),
    "behind the last slice": (moved(0.0, 0.0, 2.5 * 5), "off the slices and voxels"),
    "another spacing": (shared("PixelMeasuresSequence", "PixelSpacing", [0.5, 0.76]), "off the slices"),
    "another orientation": (
        shared("PlaneOrientationSequence", "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]), "off the slices",
    ),
    "no spacing": (lambda made: made.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence"), "no position"),
    "references to other slices": (exchanged, "which refers to slice"),
    "a segment that is not described": (lambda made: made.SegmentSequence.pop(0), "segment number 1 in frame 1"),
    "a segment described twice": (lambda made: made.SegmentSequence.append(made.SegmentSequence[0]), "twice"),
    "no segments": (with_tags(SegmentSequence=None), "SegmentSequence describes"),
    "no voxel": (lambda made: setattr(made, "PixelData", bytes(len(made.PixelData))), "no object with a voxel"),
    "colors": (with_tags(SamplesPerPixel=3), "colors"),
    "cut off": (lambda made: setattr(made, "PixelData", made.PixelData[:40]), "expected"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, when the file is made
@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], name: str) -> None:
    change, words = REFUSED[name]
    made = seg_dataset(series, frames_of(labels), referring=True)
    change(made)
    with pytest.raises(InvalidArgument, match=words) as caught:
        io.read_boxes(saved(tmp_path / "a.dcm", made), series)
    assert str(caught.value).startswith("labels: got ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 2000


@pytest.mark.parametrize("most", [0, 256])
def test_a_fractional_seg_says_what_is_whole(
    tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8], most: int
) -> None:
    frames = [(n, k, mask.astype(np.uint8)) for n, k, mask in frames_of(labels)]
    made = seg_dataset(series, frames, "FRACTIONAL", MaximumFractionalValue=most)
    with pytest.raises(InvalidArgument, match=f"MaximumFractionalValue {most}"):
        io.read_boxes(saved(tmp_path / "a.dcm", made), series)


def test_the_limit_counts_bits(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]) -> None:
    frames = [*frames_of(labels), *frames_of(labels)]
    path = saved(tmp_path / "a.dcm", seg_dataset(series, frames))
    whole = len(frames) * 15  # 12 x 10 bits
    assert len(io.read_boxes(path, series, max_bytes=whole).boxes) == 3
    with pytest.raises(InvalidArgument, match="--max-bytes"):
        io.read_boxes(path, series, max_bytes=whole - 1)


def test_images_are_told_from_labels(tmp_path: Path, series: io.MedicalImage, labels: NDArray[np.uint8]) -> None:
    path = saved(tmp_path / "a.dcm", seg_dataset(series, frames_of(labels)))
    with pytest.raises(InvalidArgument, match=r"segmentation object in .*--boxes-from"):
        io.read(path)
    with pytest.raises(InvalidArgument, match=r"^labels: got a segmentation object"):
        io.read_labels(path)
    made = pydicom.dcmread(path)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.5"
    with pytest.raises(InvalidArgument, match="got Surface Segmentation Storage"):
        io.read_boxes(saved(tmp_path / "b.dcm", made), series)
