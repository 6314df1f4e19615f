# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Names of answers: each case's own, whatever cases, objects and folders are called."""

from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import write_volume

from medsam_engine.cohort import CaseSpec, RunOptions, segment

BOX = (4.0, 5.0, 1.0, 20.0, 19.0, 3.0)


@pytest.mark.parametrize(
    ("template", "answer"),
    [
        (None, "{label}.nii.gz"),
        ("{case}.nrrd", "{label}.nrrd"),
        ("{stem}_{name}.nii.gz", "{label}_liver.nii.gz"),
        ("{case}/{label}.nii.gz", "{label}/1.nii.gz"),
    ],
)
@pytest.mark.usefixtures("tiny_bundle")
def test_braces_in_the_names_of_folders_and_cases_are_no_fields(
    scans: Path, tmp_path: Path, template: str | None, answer: str
) -> None:
    out = tmp_path / "{name}"
    options = RunOptions(str(out), template=template)
    for stem in ("{label}", "{stem}"):
        write_volume(scans / f"{stem}.nii.gz")
        case = CaseSpec.of(str(scans / f"{stem}.nii.gz"), [list(BOX)], names=["liver"])
        assert [end.status for end in segment([case], options)] == ["done"]
        assert (out / answer.replace("{label}", stem)).is_file()
        assert [end.status for end in segment([case], options)] == ["skipped"]
