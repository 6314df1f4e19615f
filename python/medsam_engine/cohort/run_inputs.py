# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a run reads on this machine, and that nothing of it is overwritten by what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medsam_engine.base.addresses import is_below, is_url, local_place
from medsam_engine.base.output_check import ReadFiles, check_output_folder
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.errors import InvalidArgument


def inputs_of(cases: Iterable[CaseSpec]) -> list[Path]:
    """The images and the files of boxes that are on this machine; a folder stands for what lies in it."""
    places = [local_place(place) for place in _places(cases)]
    return [Path(place) for place in places if place is not None]


def check_folders(options: RunOptions, cases: Sequence[CaseSpec], beside: Iterable[Path] = ()) -> None:
    """Refuses a folder of answers or of previews that is, holds, or lies in something that is read.

    Args:
        options: name the folders, each a path or, of the answers, a URL.
        cases: whose images and files of boxes are read, at paths and at URLs.
        beside: more that is read.

    Raises:
        InvalidArgument: naming the folder and the input.
    """
    place = local_place(options.answers)
    answers = None if place is None else Path(place)
    previews = None if options.previews is None else Path(options.previews)
    inputs = [*inputs_of(cases), *beside]
    check_output_folder("--output", answers, inputs)
    check_output_folder("--preview-folder", previews, [*inputs, answers])
    if answers is None:
        for url in filter(is_url, _places(cases)):
            if is_below(url, options.answers) or is_below(options.answers, url):
                raise InvalidArgument(
                    f"output: got {options.answers} for --output, which is or holds, or lies in {url}, expected a "
                    "folder apart from what is read; choose another"
                )


def _places(cases: Iterable[CaseSpec]) -> list[str]:
    return [place for case in cases for place in (case.path, case.boxes_from) if place is not None]


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
