# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a run reads on this machine, and that nothing of it is overwritten by what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medsam_engine.base.addresses import is_url
from medsam_engine.base.output_check import ReadFiles, check_output_folder
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions


def inputs_of(cases: Iterable[CaseSpec]) -> list[Path]:
    """The images and the files of boxes that are on this machine; a folder stands for what lies in it."""
    places = [place for case in cases for place in (case.path, case.boxes_from)]
    return [Path(place) for place in places if place is not None and not is_url(place)]


def check_folders(options: RunOptions, inputs: Sequence[Path]) -> None:
    """Refuses a folder of answers or of previews that is, holds, or lies in something that is read. InvalidArgument."""
    answers = None if is_url(options.answers) else Path(options.answers)
    previews = None if options.previews is None else Path(options.previews)
    check_output_folder("--output", answers, inputs)
    check_output_folder("--preview-folder", previews, [*inputs, answers])


def check_files(read: ReadFiles, files: CaseFiles) -> None:
    """Refuses files of a case that a link in the folder of the answers leads to a file that is read. InvalidArgument.

    Of files that are named after objects, those count whose names the case has; `read_case` looks at the others.
    """
    answers = files.known_masks if files.per_object else [files.answer]
    written = [("the answer", path) for path in answers] + [("its record", files.record)]
    if files.preview is not None:
        written.append(("its preview", files.preview))
    for option, path in written:
        read.check(option, path)
