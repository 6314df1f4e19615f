# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The input of a case: which files it is made of, their digest, and what decides on the answer beside the voxels."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine.cohort import answer_record
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.answer_record import file_digest
from medsam_engine.cohort.case_result import Measured
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.errors import Error
from medsam_engine.io.formats import input_format
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.source_files import source_files


@dataclass(frozen=True)
class CaseInput:
    """The files of a case before they are read.

    Attributes:
        image: the files of the image, sorted.
        beside: those of its boxes.
        made_of: what decides on the answer beside the image's voxels, for the record.
        unchanged: whether all of them are still those that were looked at.
    """

    image: list[Path]
    beside: list[Path]
    made_of: dict[str, Any]
    unchanged: Unchanged

    def key(self, *, fetched: bool = False) -> str:
        """Another one for another case, model, option or state of the files.

        `fetched`: the image's files are copies, whose times say nothing: their content counts, which is read here.
        """
        # Of the file of boxes, `made_of` has the digest.
        image = [
            _digest_if_readable(path) if fetched else (self.unchanged.state(path) or ())[2:] for path in self.image
        ]
        text = json.dumps([self.made_of, image])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def case_input(files: CaseFiles, options: RunOptions, model: Mapping[str, str]) -> CaseInput:
    """Looks at the files of a case. `model`: what of the model and of how it runs decides on the answer.

    Raises:
        Error: the image is not there or of no known kind, or the file of boxes cannot be read.
    """
    case, path = files.case, Path(files.case.path)
    input_format(path)  # says of a file that is missing, or none, that it is
    image = sorted(source_files(path))
    beside = [] if case.boxes_from is None else sorted(source_files(Path(case.boxes_from)))
    made_of = {
        **_asked(files, options, model),
        "input_bytes": Unchanged(image).total_bytes,
        "skip_unreadable": options.skip_unreadable and path.is_dir(),
    }
    if case.boxes_from is not None:
        made_of["boxes_sha256"] = input_digest(Path(case.boxes_from), beside)
    return CaseInput(image, beside, made_of, Unchanged([*image, *beside]))


def finished_remotely(
    files: CaseFiles, options: RunOptions, model: Mapping[str, str], state: str | None
) -> list[Measured] | None:
    """As `finished_objects`, of an image at a URL that is in the state that the record says; None: it is to be fetched.

    Raises:
        Refused: another answer is there.
    """
    if state is None or options.overwrite or options.skip_unreadable or files.case.boxes_from is not None:
        return None
    recorded = answer_record.recorded(files, state)
    if recorded is None:
        return None
    digest, size = recorded
    made_of = {**_asked(files, options, model), "input_bytes": size, "skip_unreadable": False}
    return answer_record.finished_objects(files, made_of, lambda: digest, options.if_different)


def _asked(files: CaseFiles, options: RunOptions, model: Mapping[str, str]) -> dict[str, Any]:
    case = files.case
    return {
        **model,
        "objects": [
            [row.label, row.name, row.in_mm, *row.box, *([row.kind] if row.kind != "box" else [])]
            for row in case.objects
        ],
        "window": case.window or options.window,
        "modality": case.modality or options.modality,
        "series": case.series,
        "volume": case.volume,
        # The record of a case with a file per object has the same name with any of these.
        **({"template": options.template} if files.per_object else {}),
    }


def finished_objects(files: CaseFiles, found: CaseInput, options: RunOptions) -> list[Measured] | None:
    """The objects of an answer that is there and would be made again just so; None where it is to be made.

    Raises:
        Refused: another answer is there.
    """
    if options.overwrite:
        return None
    path = Path(files.case.path)
    return answer_record.finished_objects(
        files, found.made_of, lambda: input_digest(path, found.image), options.if_different
    )


def input_digest(path: Path, files: Sequence[Path]) -> str:
    """Returns the SHA-256 of a file, or of the names and digests of all files of a folder or of a header."""
    if list(files) == [path]:
        return file_digest(path)
    lines = [f"{_digest_if_readable(file)} {file.name}" for file in files]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _digest_if_readable(file: Path) -> str:
    try:
        return file_digest(file)
    except Error:
        return "unreadable"  # io.read has allowed that, or will refuse it
