# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Names of labels: tables, 3D Slicer's fields in NRRD, and what a DICOM SEG can hold."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io
from medsam_engine.io.label_names import check_names

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

SNAP = """################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "liver"
   12     0  255    0      0.5  1  0    "the "left" kidney"
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'label,name\n1,liver\n12,"the ""left"" kidney"\n'),
        ("a.csv", '\ufeff1, liver\r\n\r\n12, the "left" kidney,green\r\n'),
        ("a.txt", SNAP),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert io.read_names(tmp_path / name) == {1: "liver", 12: 'the "left" kidney'}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"1,liver\n1,spleen\n", "label 1 twice"),
        ("a.csv", b"liver,1\n", "'liver,1' in row 1"),
        ("a.csv", b"1,\n", "'1,' in row 1"),
        ("a.csv", b"-1,liver\n", "in row 1"),
        ("a.csv", b"label,name\n", "no label in"),
        ("a.csv", b"1,M\xfcller\n", "no UTF-8"),
        ("a.csv", b"1," + b"x" * (1 << 20), "at most 1 MiB"),
        ("a.csv", b'1,"liver\n2,spleen\n', "no CSV"),
        ("a.csv", b'1,"liver"x\n', "no CSV"),
        ("a.txt", b"1 liver\n", "line 1 of .* expected ITK-SNAP's"),
        ("a.nii.gz", b"x", "no names in"),
        ("a.nrrd", b"NRRD0004\ntype: uchar\n\n", "no names in"),
        ("a.xyz", b"x", "names: got"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgument, match=words) as caught:
        io.read_names(tmp_path / name)
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidArgument, match="no such file"):
        io.read_names(tmp_path / f"absent-{name}")


@pytest.mark.parametrize(
    ("name", "dicom", "words"),
    [
        ("x" * 65, True, "got 65 characters for label 2"),
        ("a\\b", True, "backslash"),
        (" ", False, "printable"),
        ("a\nb", False, "printable"),
        ("a\x1bb", True, "printable"),
    ],
)
def test_names_that_cannot_be_written(name: str, dicom: bool, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_names({2: name}, dicom)


def test_names_that_can() -> None:
    check_names({1: "x" * 64, 2: "\u809d\u81d3 \U0001f600" * 12}, True)
    check_names({1: "x" * 65, 2: "a\\b"}, False)


@pytest.fixture
def image(tmp_path: Path) -> io.MedicalImage:
    volume = sitk.GetImageFromArray(np.zeros((4, 6, 8), np.int16))
    volume.SetSpacing((0.5, 0.75, 4.0))
    volume.SetOrigin((-10.0, 20.0, 30.0))
    volume.SetDirection([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0])
    sitk.WriteImage(volume, str(tmp_path / "image.nrrd"))
    return io.read(tmp_path / "image.nrrd")


@pytest.fixture
def labels() -> NDArray[np.uint16]:
    made = np.zeros((4, 6, 8), np.uint16)
    made[1:3, 2:5, 1:4], made[0, 0, 7] = 1, 300
    return made


def test_slicers_fields(tmp_path: Path, image: io.MedicalImage, labels: NDArray[np.uint16]) -> None:
    names = {1: "liver \u809d\\n", 300: "spleen", 7: "not found"}
    io.write(tmp_path / "a.nrrd", labels, image, names=names)
    found = io.read_boxes(tmp_path / "a.nrrd", image)
    assert found.names == ("liver \u809d\\n", "spleen")
    np.testing.assert_array_equal(found.labels, [1, 300])
    np.testing.assert_array_equal(found.boxes, [[1, 2, 1, 3, 4, 2], [7, 0, 0, 7, 0, 0]])
    np.testing.assert_array_equal(io.read_labels(tmp_path / "a.nrrd")[0], labels)
    np.testing.assert_allclose(io.read(tmp_path / "a.nrrd").affine, image.affine)
    fields = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    values = {key: fields.GetMetaData(key) for key in fields.GetMetaDataKeys() if key.startswith("Segment")}
    assert (values["Segment2_Name"], values["Segment2_LabelValue"], values["Segment2_ID"]) == (
        "spleen", "300", "Segment_300",
    )  # fmt: skip
    assert values["Segment0_Color"] == "1.000000 0.000000 0.000000"
    assert values["Segment1_Extent"] == "0 7 0 5 0 3"


@pytest.mark.parametrize(("name", "there"), [("a.seg.nrrd", True), ("a.nrrd", False), ("a.mha", False)])
def test_without_names_a_seg_nrrd_alone_has_fields(
    tmp_path: Path, image: io.MedicalImage, labels: NDArray[np.uint16], name: str, there: bool
) -> None:
    io.write(tmp_path / name, labels, image)
    assert (b"Segment1_Name:=label 300\n" in (tmp_path / name).read_bytes()) == there
    assert io.read_boxes(tmp_path / name, image).names == ("label 1", "label 300")


def layered(path: Path, layers: list[NDArray[np.uint8]], values: list[tuple[str, int, int]]) -> None:
    """As 3D Slicer writes segments that overlap: layers are the components of a voxel."""
    whole = sitk.GetImageFromArray(np.stack(layers, axis=-1), isVector=True)
    for k, (name, value, layer) in enumerate(values):
        for key, text in (("Name", name), ("LabelValue", str(value)), ("Layer", str(layer))):
            whole.SetMetaData(f"Segment{k}_{key}", text)
    sitk.WriteImage(whole, str(path))


@pytest.mark.parametrize("shared", [False, True])
def test_segments_in_layers(tmp_path: Path, shared: bool) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 6, 8), np.int16)), str(tmp_path / "image.nrrd"))
    first, second = np.zeros((4, 6, 8), np.uint8), np.zeros((4, 6, 8), np.uint8)
    first[1:3, 2:5, 1:4], first[3, 5, 7], second[0:3, 1:5, 1:6] = 1, 2, 1 if shared else 3
    values = [("liver", 1, 0), ("tumor", 2, 0), ("body", 1 if shared else 3, 1)]
    layered(tmp_path / "a.seg.nrrd", [first, second], values)
    found = io.read_boxes(tmp_path / "a.seg.nrrd", io.read(tmp_path / "image.nrrd"))
    assert found.names == ("liver", "tumor", "body")
    np.testing.assert_array_equal(found.labels, [1, 2, 3])
    np.testing.assert_array_equal(found.boxes, [[1, 2, 1, 3, 4, 2], [7, 5, 3, 7, 5, 3], [1, 1, 0, 5, 4, 2]])
    assert bool(found.notes) == shared
    layered(tmp_path / "b.seg.nrrd", [first, second], values[1:])
    with pytest.raises(InvalidArgument, match="value 1 in layer 0"):
        io.read_boxes(tmp_path / "b.seg.nrrd", io.read(tmp_path / "image.nrrd"))
