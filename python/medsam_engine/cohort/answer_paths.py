# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where the answer of each case goes: a name that follows from the case alone, and one per case."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from medsam_engine.cohort.case_table import Case
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.formats import KNOWN_SUFFIXES, Format, suffix_of

FORMATS = ("nii.gz", "nii", "nrrd", "mha", "png", "dcm", "npz")
_NATURAL = {Format.IMAGE: "png", Format.NPZ: "npz"}
RECORD_SUFFIX = ".json"


def check_format(output_format: str | None) -> None:
    """InvalidArgument: no format that label maps are written in."""
    if output_format is not None and output_format not in FORMATS:
        raise InvalidArgument(f"--format: got {output_format}, expected {', '.join(FORMATS)}; see --help")


@dataclass(frozen=True)
class CaseFiles:
    """A case, and where its answer goes and its preview (None: not asked for)."""

    case: Case
    answer: Path
    preview: Path | None

    @property
    def record(self) -> Path:
        """Of how the answer was made; beside it."""
        return record_path(self.answer)


def case_files(
    cases: Sequence[Case], answers: Path, output_format: str | None, previews: Path | None
) -> list[CaseFiles]:
    """The files of each case; of a name relative to the table the folders are kept, of any other only the name.

    Args:
        cases: of one table.
        answers: the folder of the answers.
        output_format: one of FORMATS for all; None = png for pictures, npz for NPZ, nii.gz for all else.
        previews: the folder of the pictures; None = none are made.

    Raises:
        InvalidArgument: two cases would have one answer.
    """
    taken: dict[str, Case] = {}
    files = []
    for case in cases:
        relative = _answer_name(case, output_format)
        # Names that differ in case or composition only are one file on some file systems.
        key = unicodedata.normalize("NFC", str(relative)).casefold()
        earlier = taken.setdefault(key, case)
        if earlier is not case:
            raise InvalidArgument(
                f"cases: got {case.file} (line {case.line}), whose answer {relative} is that of {earlier.file} (line "
                f"{earlier.line}), expected one per file; rename a file or give names relative to the table"
            )
        preview = None if previews is None else previews / relative.with_name(relative.name + ".png")
        files.append(CaseFiles(case, answers / relative, preview))
    return files


def record_path(answer: Path) -> Path:
    """The record of an answer lies beside it."""
    return answer.with_name(answer.name + RECORD_SUFFIX)


def _answer_name(case: Case, output_format: str | None) -> PurePath:
    ending = suffix_of(case.path)
    kind = KNOWN_SUFFIXES.get(ending)
    stem = case.path.name[: -len(ending)] if kind is not None else case.path.name
    chosen = output_format or (_NATURAL.get(kind, "nii.gz") if kind is not None else "nii.gz")
    written = PurePath(os.path.normpath(case.file))
    inside = not written.is_absolute() and ".." not in written.parts and written.name == case.path.name
    return (written.parent if inside else PurePath()) / f"{stem or case.path.name}.{chosen}"
