# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A real Orthanc: a series goes in, its SEG comes back from there, and highdicom reads the voxels that were written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("dicomweb_client", reason="it is of the extra [dicomweb]")
pydicom = pytest.importorskip("pydicom", reason="DICOM needs the full installation")
highdicom = pytest.importorskip("highdicom", reason="DICOM SEG needs the full installation")

from dicom_builder import stored, straight, write_series
from orthanc_server import Orthanc

from medsam_engine import io
from medsam_engine.cli.app import run as command
from medsam_engine.dicomweb.access import Access, read_access
from medsam_engine.dicomweb.server import DicomWebServer
from medsam_engine.io.medical_image import DicomSource

pytestmark = pytest.mark.usefixtures("tiny_bundle")
RAW = Path(__file__).resolve().parents[4] / "shared" / "data" / "raw"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def server(orthanc: Orthanc) -> DicomWebServer:
    return DicomWebServer(orthanc.url, read_access(orthanc.auth))


@pytest.fixture
def run(orthanc: Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with the answers in "out"; returns the status and what it says."""

    def call(*options: object, auth: Path | None = None) -> tuple[int, str]:
        access = ["--dicomweb-auth", str(auth or orthanc.auth)]
        status = command(["run", "--dicomweb", orthanc.url, *access, *map(str, options), "-o", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return call


def synthetic(folder: Path, study: str, series: str, rle: bool = False) -> Path:
    """A CT of 6 slices, which names a patient in a character set that is not ASCII."""
    files = write_series(
        folder,
        stored(6, 24, 32),
        straight(6, 2.5),
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        PatientName="M\u00fcller^J\u00f6rg",
        SpecificCharacterSet="ISO_IR 100",
    )
    for path in files if rle else []:
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    return folder


def send(server: DicomWebServer, folder: Path) -> Any:
    """Stores the files of a folder; returns the last data set."""
    for path in sorted(folder.iterdir()):
        assert server.store(path)
    return pydicom.dcmread(path)


def by_highdicom(seg: Path, scan: io.MedicalImage) -> NDArray[Any]:
    """The labels (D, H, W) of a SEG on the slices of a scan, which its frames refer to."""
    assert isinstance(scan.source, DicomSource)
    slices = [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in scan.source.files]
    found = highdicom.seg.segread(seg)
    return np.asarray(
        found.get_pixels_by_source_instance(slices, combine_segments=True, assert_missing_frames_are_empty=True)
    )


def of_files(folder: Path, tmp_path: Path, box: str) -> NDArray[Any]:
    """The labels of the same case where no server is asked."""
    (tmp_path / "cases.csv").write_text(f"file,x0,y0,z0,x1,y1,z1\n{folder},{box}\n", encoding="utf-8")
    assert command(["run", str(tmp_path / "cases.csv"), str(tmp_path / "files"), "--quiet"]) == 0
    return io.read_labels(tmp_path / "files" / f"{folder.name}.nii.gz")[0]


def round_trip(server: DicomWebServer, run: Run, folder: Path, tmp_path: Path, box: str) -> None:
    last = send(server, folder)
    study, series = str(last.StudyInstanceUID), str(last.SeriesInstanceUID)
    status, said = run("--study", study, "--series", series, "--box", box, "--store")
    assert (status, "1 case done, 0 skipped, 0 failed" in said) == (0, True)
    assert str(last.PatientName) not in said

    (seg,) = [entry for entry in server.series_of_study(study) if entry.modality == "SEG"]
    back = tmp_path / "back"
    back.mkdir()
    (fetched,) = server.fetch(seg, back)
    labels = of_files(folder, tmp_path, box)
    assert labels.any()
    np.testing.assert_array_equal(by_highdicom(fetched, io.read(folder)), labels)

    for extra in ([], ["--overwrite"]):  # the same instance again
        status, said = run("--study", study, "--series", series, "--box", box, "--store", *extra)
        assert status == 0
    assert sum(entry.modality == "SEG" for entry in server.series_of_study(study)) == 1


def test_a_synthetic_series(server: DicomWebServer, run: Run, tmp_path: Path) -> None:
    round_trip(server, run, synthetic(tmp_path / "ct", "1.2.7.1", "1.2.7.1.1"), tmp_path, "3,4,1,24,20,4")


@pytest.mark.skipif(not RAW.is_dir(), reason="shared/data/raw is not there")
@pytest.mark.parametrize(
    ("folder", "box"), [("ct_series_uncompressed", "40,40,10,100,90,30"), ("mr_series_oblique", "100,100,3,250,240,9")]
)
def test_a_real_series(server: DicomWebServer, run: Run, tmp_path: Path, folder: str, box: str) -> None:
    round_trip(server, run, RAW / folder, tmp_path, box)


@pytest.mark.skipif(not RAW.is_dir(), reason="shared/data/raw is not there")
def test_boxes_of_a_real_rtstruct(server: DicomWebServer, run: Run, tmp_path: Path) -> None:
    for path in sorted((RAW / "ct_series_uncompressed").iterdir()):
        server.store(path)
    contours = RAW / "ct_series_uncompressed_RTSTRUCT.dcm"
    server.store(contours)
    study = str(pydicom.dcmread(contours).StudyInstanceUID)
    status, said = run("--study", study, "--boxes-from", "RTSTRUCT", "--modality", "CT")
    assert (status, "1 case done" in said) == (0, True)
    (answer,) = (tmp_path / "out").glob("*.dcm")
    scan = io.read(RAW / "ct_series_uncompressed")
    assert io.read_boxes(answer, scan).names == io.read_boxes(contours, scan).names


def test_a_compressed_series_is_fetched_as_it_is_stored(server: DicomWebServer, tmp_path: Path) -> None:
    send(server, synthetic(tmp_path / "ct", "1.2.7.2", "1.2.7.2.1", rle=True))
    (tmp_path / "in").mkdir()
    files = server.fetch(server.find_series("1.2.7.2.1"), tmp_path / "in")
    kinds = {pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in files}
    assert (len(files), kinds) == (6, {pydicom.uid.RLELossless})
    np.testing.assert_array_equal(io.read(tmp_path / "in").array, io.read(tmp_path / "ct").array)


def test_what_orthanc_refuses(orthanc: Orthanc, run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("reader:guess", encoding="utf-8")
    status, said = run("--study", "1.2.7.1", "--box", "1,1,1,2,2,2", auth=wrong)
    assert (status, len(said.splitlines())) == (2, 1)
    assert "got HTTP 401" in said
    assert "guess" not in said
    status, said = run("--study", "1.2.9", "--box", "1,1,1,2,2,2")
    assert (status, "--study: got 1.2.9, expected a study that" in said) == (2, True)
    assert DicomWebServer(f"{orthanc.url}/", Access(login=("reader", "a password"))).url == orthanc.url


def test_a_server_that_is_down(orthanc: Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = orthanc.url.rpartition(":")[0]
    url = f"{host}:1/dicom-web"  # port 1: nobody listens
    status = command(["run", "--dicomweb", url, "--study", "1.2", "--box", "1,1,1,2,2,2", "-o", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert (status, len(said.splitlines())) == (2, 1)
    assert f"got no connection to {url} (Connection refused), expected a DICOMweb server there" in said
