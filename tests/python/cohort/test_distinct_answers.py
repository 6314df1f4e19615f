# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Names of answers: each case's own, whatever cases, objects and folders are called."""

from pathlib import Path, PureWindowsPath

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import write_volume

from medsam_engine import InvalidArgument
from medsam_engine.cohort import CaseSpec, ObjectPrompt, RunOptions, answer_paths, check_distinct_answers, segment

BOX = (4.0, 5.0, 1.0, 20.0, 19.0, 3.0)


def named(stem: str, name: str, label: int = 1) -> CaseSpec:
    return CaseSpec(f"{stem}.nii.gz", f"/scans/{stem}.nii.gz", (ObjectPrompt(label, BOX, name),))


def unnamed(stem: str) -> CaseSpec:
    """A case whose objects a file has."""
    return CaseSpec(f"{stem}.nii.gz", f"/scans/{stem}.nii.gz", boxes_from=f"/labels/{stem}.nii.gz")


def test_two_cases_of_one_answer_are_told_of_the_answer(tmp_path: Path) -> None:
    """Not of its record, which would be that of both, too."""
    cases = [CaseSpec.of(f"/{folder}/scan.nii.gz", [BOX]) for folder in ("p1", "p2")]
    with pytest.raises(InvalidArgument, match=r"got /p2/scan\.nii\.gz, whose answer scan\.nii\.gz is that of /p1/scan"):
        check_distinct_answers(cases, RunOptions(str(tmp_path / "out")))


def test_a_name_from_the_root_of_a_drive_of_windows_keeps_no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not absolute there, and the answer would lie beside the image."""
    monkeypatch.setattr(answer_paths, "PurePath", PureWindowsPath)
    for name in ("/p1/scan.nii.gz", "C:/p1/scan.nii.gz", "C:p1/scan.nii.gz"):
        assert answer_paths._parts(CaseSpec.of(name, [BOX]))[0] == PureWindowsPath()


@pytest.mark.parametrize(
    ("template", "cases"),
    [
        ("{case}_{name}.nii.gz", [named("a", "b_c"), named("a_b", "c")]),
        ("{case}_{name}.nii.gz", [named("a", "B_c"), named("A_b", "C")]),
        ("{case}{label}.nii.gz", [named("scan1", "", 1), named("scan", "", 11)]),
        ("{name}{stem}.nii.gz", [named("p/b", "label 1a"), named("q/ab", "")]),  # "" is written as "label 1"
    ],
)
def test_two_objects_of_one_file_are_refused_before_anything_runs(
    template: str, cases: list[CaseSpec], tmp_path: Path
) -> None:
    for listed in (cases, cases[::-1]):
        with pytest.raises(InvalidArgument, match=r"expected one per file; .* use \{case\}/\{name\} in --template"):
            segment(listed, RunOptions(str(tmp_path / "out"), template=template))
    assert not (tmp_path / "out").exists()
    check_distinct_answers(cases, RunOptions("out", template="{case}/{label}.nii.gz"))


@pytest.mark.parametrize(
    ("template", "cases"),
    [
        ("{case}_{name}.nii.gz", [unnamed("a"), unnamed("a_b")]),
        ("{case}_{name}.nii.gz", [named("a", "b_x"), unnamed("b"), unnamed("A_b")]),
        ("{name}_{case}.nii.gz", [unnamed("b"), unnamed("a_b")]),
        ("{name}_{case}_{label}.nii.gz", [unnamed("a"), unnamed("b")]),
    ],
)
def test_names_that_are_not_known_yet_may_be_any(template: str, cases: list[CaseSpec]) -> None:
    with pytest.raises(InvalidArgument, match=r"names that are known only when the image is read"):
        check_distinct_answers(cases, RunOptions("out", template=template))


@pytest.mark.parametrize(
    ("template", "cases"),
    [
        ("{case}_{name}.nii.gz", [unnamed("a"), unnamed("b"), unnamed("p/a_b")]),
        ("{case}_{name}.nii.gz", [named("a", "x"), named("a_b", "x")]),
        ("{case}_{name}.nii.gz", [unnamed("a")]),
        ("{case}/{name}.nii.gz", [unnamed("a"), unnamed("a_b"), unnamed("a/b")]),
        ("{name}/{case}.nii.gz", [unnamed("a"), unnamed("a_b"), unnamed("b/a")]),
        ("{case}_{name}/{label}_{case}.nii.gz", [unnamed("a"), unnamed("a_b")]),
        ("{label}_{stem}.nii.gz", [unnamed("p/a"), unnamed("b")]),
    ],
)
def test_files_that_differ_by_the_case_are_not_refused(template: str, cases: list[CaseSpec]) -> None:
    check_distinct_answers(cases, RunOptions("out", template=template))


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
