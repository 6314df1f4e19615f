# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""No answer is written over anything that a run reads, in Python as on the command line."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import snapshot, write_volume

from medsam_engine import InvalidArgument
from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RunOptions, segment, segment_on_ray
from medsam_engine.cohort.run_inputs import check_folders

pytestmark = pytest.mark.usefixtures("tiny_bundle")

BOX = [4, 5, 1, 20, 19, 3]


@pytest.fixture
def labels(scans: Path, tmp_path: Path) -> Path:
    """A folder with a label map of the volume, which has the name of an answer."""
    folder = tmp_path / "labels"
    segment([CaseSpec.of(str(scans / "mr.nii.gz"), [BOX])], RunOptions(str(folder)))
    for path in (folder / "mr.nii.gz.json", folder / ".medsam-run"):
        if path.is_file():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)
    return folder


@pytest.mark.parametrize("by", [segment, segment_on_ray])
@pytest.mark.parametrize("place", ["answers", "previews"])
def test_a_folder_that_holds_what_is_read_is_refused(
    scans: Path, tmp_path: Path, labels: Path, by: Callable[..., list[CaseResult]], place: str
) -> None:
    write_volume(scans / "other.nii.gz")
    cases = [
        CaseSpec.of(str(scans / "mr.nii.gz"), [BOX]),
        CaseSpec.of(str(scans / "other.nii.gz"), boxes_from=str(labels / "mr.nii.gz")),
    ]
    before = snapshot(labels)
    options = {"answers": str(tmp_path / "out"), place: str(labels)}
    with pytest.raises(InvalidArgument, match="expected a folder apart from what is read"):
        by(cases, RunOptions(overwrite=True, **options))  # type: ignore[arg-type]  # text
    assert snapshot(labels) == before
    assert not (tmp_path / "out").exists()


def test_a_worker_alone_knows_of_its_own_case(scans: Path, labels: Path) -> None:
    boxes = (labels / "mr.nii.gz").rename(labels / "boxes.nii.gz")
    case = CaseSpec.of(str(scans / "mr.nii.gz"), boxes_from=str(boxes))
    before = snapshot(labels)
    end = CaseWorker(RunOptions(str(labels), overwrite=True))(case)
    assert (end.status, "expected a folder apart from what is read" in end.message) == ("failed", True)
    assert snapshot(labels) == before


@pytest.mark.needs("links")
@pytest.mark.parametrize("names_known", [True, False])
def test_the_file_of_an_object_is_no_image_of_another_case(
    scans: Path, tmp_path: Path, labels: Path, names_known: bool
) -> None:
    """A link in the folder of the answers leads to the images."""
    name = "second" if names_known else "label 1"
    second = scans / f"{name}.nii.gz"
    write_volume(second, seed=8)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mr").symlink_to(scans)
    boxes = {"boxes": [BOX], "names": [name]} if names_known else {"boxes_from": str(labels / "mr.nii.gz")}
    cases = [CaseSpec.of(str(scans / "mr.nii.gz"), **boxes), CaseSpec.of(str(second), [BOX])]
    before = snapshot(scans)
    options = RunOptions(str(tmp_path / "out"), template="{case}/{name}.nii.gz", overwrite=True)
    first, other = segment(cases, options)
    assert (first.status, "nothing that is read is overwritten" in first.message) == ("failed", True)
    assert other.status == "done"
    assert snapshot(scans) == before


@pytest.mark.parametrize(
    ("image", "answers"),
    [
        ("file://HERE/scans/mr.nii.gz", "HERE/scans"),
        ("HERE/scans/mr.nii.gz", "file://HERE/scans"),
        ("file://HERE/scans/mr.nii.gz", "file://HERE//other/../scans/"),
        ("file://HERE/scans/ct", "HERE/scans/ct/answers"),
        ("memory://archive/scans/mr.nii.gz", "memory://archive/scans"),
        ("memory:///archive/scans/mr.nii.gz", "MEMORY://archive//x/.."),
        ("memory://archive/ct", "memory://archive/ct/answers"),
    ],
)
@pytest.mark.parametrize("as_boxes", [False, True])
def test_a_folder_of_answers_holds_no_input_at_a_url(
    scans: Path, tmp_path: Path, image: str, answers: str, as_boxes: bool
) -> None:
    place, folder = (text.replace("HERE", str(scans.parent)) for text in (image, answers))
    case = CaseSpec.of(place, [BOX])
    if as_boxes:
        case = CaseSpec.of(str(tmp_path / "image.nii.gz"), boxes_from=place)
    before = snapshot(scans)
    with pytest.raises(InvalidArgument, match="expected a folder apart from what is read"):
        segment([case], RunOptions(folder, overwrite=True))
    end = CaseWorker(RunOptions(folder, overwrite=True))(case)
    assert (end.status, "expected a folder apart from what is read" in end.message) == ("failed", True)
    assert snapshot(scans) == before


def test_places_of_other_names_are_apart() -> None:
    for image, answers in [("s3://b/scans/a.png", "s3://b/scan"), ("s3://b/a.png", "s3://c"), ("s3://b/a", "gs://b")]:
        check_folders(RunOptions(answers), [CaseSpec.of(image, [BOX])])
