# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A folder of cases: each image or DICOM series that has its prompts beside it.

The prompts of scan.nii.gz are in scan.boxes.EXT, those of the series in the folder ct in ct.boxes.EXT beside it. EXT
is csv (the columns of the table of cases without `file`), or that of a file that `segment --boxes-from` takes: a label
map (.nii.gz, .nrrd, .mha, .png, .npz), a DICOM SEG or RTSTRUCT (.dcm), or 3D Slicer's ROI (.json, .mrk.json).
"""

from collections import Counter
from pathlib import Path

from medsam_engine.cohort.answer_paths import record_path
from medsam_engine.cohort.case_rows import CaseList
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.case_table import read_prompts_table
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.formats import KNOWN_SUFFIXES, Format, input_format, suffix_of

_MARK = ".boxes."


def has_prompts_beside(folder: Path) -> bool:
    """Whether a folder holds a file of prompts, at any depth."""
    return next(folder.rglob(f"*{_MARK}*"), None) is not None


def read_case_folder(folder: Path) -> CaseList:
    """The cases of a folder and of those in it, sorted by name; a folder of NPZ files has its boxes in them.

    Raises:
        InvalidArgument: no case; prompts without an image or beside two of one name; a table with an error.
    """
    below = sorted(folder.rglob("*"))
    prompts = [path for path in below if _MARK in path.name and path.is_file() and not path.name.startswith(".")]
    cases = [_case(folder, path) for path in prompts]
    if not prompts:
        cases = [CaseSpec(path.name, str(path)) for path in sorted(folder.glob("*.npz")) if path.name[0] != "."]
    if not cases:
        raise InvalidArgument(
            f"cases: got no scan.boxes.csv beside a scan and no NPZ case in the folder {folder}, expected one per "
            "image; see docs/many_cases.md"
        )
    twice = [file for file, count in Counter(case.file for case in cases).items() if count > 1]
    if twice:
        raise InvalidArgument(f"cases: got two files of prompts for {twice[0]} in {folder}, expected one; remove one")
    used = {Path(case.path) for case in cases} | set(prompts)
    left_out = {
        "images without prompts beside them, left out": _without_prompts(folder, below, used),
        "links to folders, which are not followed": _links(folder, below, used),
    }
    return CaseList(cases, [f"{what}: {_first(names)}" for what, names in left_out.items() if names])


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _links(folder: Path, below: list[Path], used: set[Path]) -> list[str]:
    """The folders below that no case is and that `rglob` does not look into: they may lead anywhere, also back."""
    return [path.relative_to(folder).as_posix() for path in below
            if path.is_symlink() and path.is_dir() and path not in used]  # fmt: skip


def _without_prompts(folder: Path, below: list[Path], used: set[Path]) -> list[str]:
    """The images below a folder that no case has, sorted; of a DICOM series, the name of its folder."""
    found = set()
    for path in below:
        inside = path.relative_to(folder)
        series = f"{inside.parent.as_posix()}/"
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or series in found or not used.isdisjoint((path, *path.parents)):
            continue
        kind = _kind(path)
        if kind is not None and not record_path(path).is_file():  # no answer of an earlier run
            found.add(series if kind is Format.DICOM and len(inside.parts) > 1 else inside.as_posix())
    return sorted(found)


def _kind(path: Path) -> Format | None:
    """The format of an image, None of anything else. Files with the names that archives give DICOM are opened."""
    if not path.is_file():
        return None
    ending = suffix_of(path)
    if ending and not ending[1:].isdigit():
        return KNOWN_SUFFIXES.get(ending)
    try:
        return input_format(path)
    except Error:
        return None


def _case(folder: Path, prompts: Path) -> CaseSpec:
    stem = prompts.name[: prompts.name.index(_MARK)]
    images = [path for path in sorted(prompts.parent.iterdir()) if _is_image_of(path, stem)]
    if len(images) != 1:
        got = f"{images[0].name} and {images[1].name}" if images else "none"
        raise InvalidArgument(f"cases: got {got} beside {prompts}, expected one image or folder of the name {stem}")
    (image,) = images
    file = image.relative_to(folder).as_posix()
    if prompts.suffix.lower() == ".csv":
        return read_prompts_table(prompts, file, str(image))
    return CaseSpec(file, str(image), boxes_from=str(prompts))


def _is_image_of(path: Path, stem: str) -> bool:
    if _MARK in path.name:
        return False
    if path.name == stem:
        return True
    ending = suffix_of(path)
    return ending in KNOWN_SUFFIXES and path.is_file() and path.name[: -len(ending)] == stem
