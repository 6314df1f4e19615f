# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment` on one phantom with and without a defect of real files: the mask must be the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
tifffile = pytest.importorskip("tifffile", reason="tifffile is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, generate_uid

from medsam_engine.cli.app import run

Y, X = np.mgrid[:80, :100]
OBJECT = (X - 30) ** 2 / 196 + (Y - 30) ** 2 / 81 < 1
PHANTOM = np.where(OBJECT, 1224, 924) + np.random.default_rng(0).integers(-10, 10, OBJECT.shape)
BOX = "16,21,44,39"


@pytest.fixture(autouse=True)
def used_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))


def dicom(path: Path, pixels: NDArray[Any], syntax: Any = None, **tags: Any) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.SamplesPerPixel, made.PhotometricInterpretation = "CT", 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, int(pixels.dtype.kind == "i")
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness = [0.8, 0.7], 2.5
    later = {name: tags.pop(name) for name in ("BitsStored", "HighBit") if name in tags}
    for name, value in tags.items():
        setattr(made, name, value)
    made.PixelData = pixels.tobytes()
    if syntax is not None:
        made.compress(syntax)
    for name, value in later.items():
        setattr(made, name, value)
    made.save_as(path, enforce_file_format=True)
    return path


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def mask(path: Path, *options: str) -> NDArray[np.bool_]:
    output = path.with_suffix(".mask.png")
    assert run(["segment", str(path), "--box", BOX, *options, "-o", str(output)]) == 0
    return np.asarray(io.read_labels(output)[0].astype(bool))


def check_same(sound: NDArray[np.bool_], defect: NDArray[np.bool_]) -> None:
    assert dice(sound, OBJECT) > 0.98
    assert abs(dice(sound, OBJECT) - dice(defect, OBJECT)) < 0.01
    assert dice(sound, defect) > 0.98


def test_planes_of_16_bits(tmp_path: Path) -> None:
    rgb = np.stack([PHANTOM.astype(np.uint16)] * 3)
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(rgb, 0, -1).copy(), photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", rgb, photometric="rgb", planarconfig="separate")
    check_same(mask(tmp_path / "a.tif"), mask(tmp_path / "b.tif"))


def test_ct_without_rescale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = PHANTOM.astype(np.uint16)
    sound = mask(dicom(tmp_path / "a.dcm", pixels, RescaleSlope=1, RescaleIntercept=-1024))
    assert "Hounsfield" not in capsys.readouterr().err
    defect = dicom(tmp_path / "b.dcm", pixels)
    check_same(sound, mask(defect))
    said = capsys.readouterr().err
    assert "not Hounsfield units" in said
    assert "window: percentile" in said
    check_same(sound, mask(defect, "--window", "400,1064"))
    assert run(["segment", str(defect), "--box", BOX, "--window", "abdomen", "-o", str(tmp_path / "m.png")]) == 2
    assert not (tmp_path / "m.png").exists()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("value", [65535, 0])
def test_padding(tmp_path: Path, value: int, photometric: str) -> None:
    tags: dict[str, Any] = {"Modality": "DX", "PhotometricInterpretation": photometric}
    pixels = (PHANTOM if photometric == "MONOCHROME2" else 4095 - PHANTOM).astype(np.uint16)
    sound = mask(dicom(tmp_path / "a.dcm", pixels, **tags))
    pixels[:8] = value
    check_same(sound, mask(dicom(tmp_path / "b.dcm", pixels, PixelPaddingValue=value, **tags)))


@pytest.mark.parametrize("syntax", [None, JPEGLSLossless, JPEG2000Lossless])
def test_overlay_bits(tmp_path: Path, syntax: Any) -> None:
    pixels = PHANTOM.astype(np.uint16)
    sound = mask(dicom(tmp_path / "a.dcm", pixels, Modality="MR"))
    pixels[60:70, 60:90] |= 0x8000
    check_same(sound, mask(dicom(tmp_path / "b.dcm", pixels, syntax, Modality="MR", BitsStored=12, HighBit=11)))


@pytest.mark.parametrize(("bits", "scale"), [(8, 256), (16, 1), (16, 256)])
def test_palettes(tmp_path: Path, bits: int, scale: int) -> None:
    index = np.where(OBJECT, 220, 60).astype(np.uint8)
    sound = mask(dicom(tmp_path / "a.dcm", index, Modality="US"))
    tags: dict[str, Any] = {"Modality": "US", "PhotometricInterpretation": "PALETTE COLOR"}
    for color in ("Red", "Green", "Blue"):
        tags[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{color}PaletteColorLookupTableData"] = (np.arange(256) * scale).astype(np.uint16).tobytes()
    check_same(sound, mask(dicom(tmp_path / "b.dcm", index, **tags)))


def test_faults_are_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        dicom(tmp_path / "slope.dcm", PHANTOM.astype(np.uint16), RescaleSlope=0, RescaleIntercept=-1024),
        tmp_path / "stack.tif",
    ]
    tifffile.imwrite(files[1], np.zeros((3, 80, 100), np.uint16), imagej=True)
    for path in files:
        assert run(["segment", str(path), "--box", BOX, "-o", str(tmp_path / "m.png")]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("medsam-engine: ")]
        assert len(lines) == 1
        assert path.name in lines[0]
        assert "internal error" not in lines[0]
