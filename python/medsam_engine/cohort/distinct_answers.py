# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whether the cases of a run have an answer each: to be asked before a scheduler gives them to several workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from medsam_engine.cohort.answer_paths import CaseFiles, folded
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker
from medsam_engine.errors import InvalidArgument

_FIELD = "\0"  # in no name of a file


def check_distinct_answers(cases: Iterable[CaseSpec], options: RunOptions) -> None:
    """Refuses cases of which two would write one file.

    `segment`, `segment_on_ray` and the command do this themselves. Two workers that do two such cases at once see no
    answer yet, and both write: one mask would be lost, although both cases end as done.

    Args:
        cases: all cases of the run.
        options: of the run; no model is loaded.

    Raises:
        InvalidArgument: two cases have one answer, or options do not go together.
    """
    worker = CaseWorker(options)
    distinct_files(worker.files(case) for case in cases)


def distinct_files(each: Iterable[CaseFiles]) -> list[CaseFiles]:
    """The files of all cases of a run.

    Raises:
        InvalidArgument: two cases would have one answer, or two objects of theirs one file. Where the names of objects
            are known only when a case is read, also where that may be.
    """
    taken: dict[str, CaseSpec] = {}
    files = []
    for found in each:
        places = {folded(path): path for path in (found.answer, found.record, *found.known_masks)}
        for place, path in places.items():
            if place in taken:
                other_template = ", or use {case}/{name} in --template" if found.per_object else ""
                raise InvalidArgument(
                    f"cases: got {_placed(found.case)}, whose answer {path.name} is that of {_placed(taken[place])}, "
                    f"expected one per file; rename a file, give names relative to the table{other_template}"
                )
        taken.update(dict.fromkeys(places, found.case))
        files.append(found)
    _check_unknown_names([found for found in files if found.per_object])
    return files


def _check_unknown_names(files: Sequence[CaseFiles]) -> None:
    """A name that is not known yet may be any text without a slash: {case}_{name} is a_b_c for the cases a and a_b."""
    if all(found.case.objects for found in files):
        return
    alike: dict[tuple[str, ...], list[tuple[CaseFiles, list[str]]]] = defaultdict(list)
    for found in files:
        parts = _parts(found)
        alike[tuple(_FIELD if _FIELD in part else part for part in parts)].append((found, parts))
    for key, group in alike.items():
        if all(found.case.objects for found, _ in group):
            continue
        mixed = [k for k, part in enumerate(key) if part == _FIELD]
        before = [[parts[k].partition(_FIELD)[0] for _, parts in group] for k in mixed]
        after = [[parts[k].rpartition(_FIELD)[2][::-1] for _, parts in group] for k in mixed]
        pairs = [_one_begins_another(texts) for texts in (*before, *after)]
        if pairs[0] is not None and None not in pairs:
            first, second = (group[index][0].case for index in pairs[0])
            raise InvalidArgument(
                f"cases: got {_placed(first)} and {_placed(second)}, whose objects have names that are known only when "
                "the image is read and may have the same file, expected files that differ by the case; use "
                "{case}/{name} in --template"
            )


def _parts(files: CaseFiles) -> list[str]:
    """The folders and the name of a file of an object, with _FIELD for what follows from the object."""
    return folded("".join(_FIELD if k % 2 else text for k, text in enumerate(files.pattern))).split("/")


def _one_begins_another(texts: Sequence[str]) -> tuple[int, int] | None:
    """Two of the texts, by their places, of which one is the beginning of the other; None where there are none."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    # What begins with a text follows it in the alphabet, before anything that does not.
    return next(((a, b) for a, b in pairwise(order) if texts[b].startswith(texts[a])), None)


def _placed(case: CaseSpec) -> str:
    return f"{case.file} (line {case.line})" if case.line else case.file
