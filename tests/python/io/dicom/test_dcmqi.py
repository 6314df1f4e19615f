# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM SEG and dcmqi, a second implementation on DCMTK and ITK: it reads ours, and we say of its own what they are.

Skipped without it: its wheel has 51 MB of programs that nothing else here needs (pip install dcmqi).
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io

dcmqi = pytest.importorskip("dcmqi", reason="pip install dcmqi")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import straight, write_series

PROGRAMS = Path(dcmqi.__file__).parent / "bin"
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
CODE = {"CodeValue": "T-D0050", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Tissue"}


def run(program: str, *arguments: object) -> None:
    done = subprocess.run([str(PROGRAMS / program), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def series(folder: Path) -> io.MedicalImage:
    voxels = np.random.default_rng(1).integers(-900, 900, (6, 12, 10)).astype(np.int16)
    write_series(folder, voxels, straight(6, 2.5, OBLIQUE), OBLIQUE, PixelSpacing=[0.6, 0.8])
    return io.read(folder)


def places(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the voxels of a mask (D, H, W) lie, LPS mm, sorted."""
    index = np.argwhere(mask)[:, ::-1]
    points = np.round(index @ affine[:3, :3].T + affine[:3, 3], 3) + 0.0
    return points[np.lexsort(points.T)]


def affine_of(image: Any) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def test_dcmqi_reads_our_seg(tmp_path: Path) -> None:
    image = series(tmp_path / "series")
    labels = np.zeros((6, 12, 10), np.uint16)
    labels[1:4, 2:7, 3:9], labels[3:6, 8:11, 1:4], labels[0, 0, 0] = 1, 5, 2
    assert io.write(tmp_path / "seg.dcm", labels, image) == "DICOM SEG"
    (tmp_path / "out").mkdir()
    run("segimage2itkimage", "--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path / "out", "-t", "nrrd")
    # SEG counts segments without a gap: 3 and 4 are there and hold nothing.
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nrrd")) == [f"{n}.nrrd" for n in range(1, 6)]
    for label in range(1, 6):
        volume = sitk.ReadImage(str(tmp_path / "out" / f"{label}.nrrd"))
        read = places(sitk.GetArrayFromImage(volume) > 0, affine_of(volume))
        wanted = places(labels == label, image.affine)
        assert read.shape == wanted.shape
        np.testing.assert_allclose(read, wanted, atol=2e-3)


def test_a_seg_of_dcmqi_is_called_one(tmp_path: Path) -> None:
    image = series(tmp_path / "series")
    labels = np.zeros((6, 12, 10), np.uint8)
    labels[1:4, 2:7, 3:9] = 1
    io.write(tmp_path / "labels.nrrd", labels, image)
    about = {
        "ContentCreatorName": "A", "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1", "SeriesNumber": "9",
        "SeriesDescription": "s", "InstanceNumber": "1", "BodyPartExamined": "", "segmentAttributes": [[{
            "labelID": 1, "SegmentDescription": "s", "SegmentLabel": "s", "SegmentAlgorithmType": "MANUAL",
            "SegmentedPropertyCategoryCodeSequence": CODE, "SegmentedPropertyTypeCodeSequence": CODE,
        }]],
    }  # fmt: skip
    (tmp_path / "about.json").write_text(json.dumps(about))
    run(
        "itkimage2segimage", "--inputImageList", tmp_path / "labels.nrrd", "--inputDICOMDirectory", tmp_path / "series",
        "--inputMetadata", tmp_path / "about.json", "--outputDICOM", tmp_path / "seg.dcm",
    )  # fmt: skip
    for read in (io.read, io.read_labels):
        with pytest.raises(InvalidArgument, match="segmentation object") as caught:
            read(tmp_path / "seg.dcm")
        assert "\n" not in str(caught.value)
