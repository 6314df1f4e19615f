# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One case: read, shown through its window, segmented and written, with the same parts as `medsam-engine segment`."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine, io
from medsam_engine.base.output_check import ReadFiles, check_outputs
from medsam_engine.cohort import answer_record
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_boxes import boxes_of
from medsam_engine.cohort.case_input import CaseInput, case_input, finished_objects, input_digest
from medsam_engine.cohort.case_result import Measured
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.session_answer import objects_by_session
from medsam_engine.io.files import label_file
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.labeled_boxes import LabeledBoxes
from medsam_engine.io.picture.png_file import write_rgb
from medsam_engine.show.found_objects import FoundObjects, relabeled, reported_objects
from medsam_engine.show.prepared_image import engine_modality, prepared_image
from medsam_engine.show.result_picture import result_picture
from medsam_engine.windows import Windowed


@dataclass
class Notes:
    """Notes on a case, which are printed when its turn comes: it is read while another one is segmented."""

    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Another line."""
        self.lines.append(text)


@dataclass(frozen=True)
class FinishedCase:
    """A case whose answer is there.

    Attributes:
        objects: of the answer.
        seconds: that it took to find that out.
    """

    objects: list[Measured]
    seconds: float


@dataclass(frozen=True)
class ReadCase:
    """A case ready for the engine.

    Attributes:
        made_of: what decides on the answer beside the input, for its record.
        content: a digest of the input.
        source: the image.
        prompts: its boxes.
        shown: the image through its window.
        unchanged: whether the files behind `source` are still those that were read.
        seconds: that it took.
        notes: on the image, its boxes and its window, for people.
        state: of an image at a URL, for the record; None where it has none.
    """

    made_of: dict[str, Any]
    content: str
    source: io.MedicalImage
    prompts: LabeledBoxes
    shown: Windowed
    unchanged: Unchanged
    seconds: float
    notes: list[str]
    state: str | None = None

    @property
    def input_bytes(self) -> int:
        """Of the voxels in memory."""
        return self.source.array.nbytes


def read_case(
    files: CaseFiles,
    options: RunOptions,
    model: Mapping[str, str],
    max_bytes: int | None,
    begin: Callable[[CaseInput], object],
    others: ReadFiles | None = None,
) -> ReadCase | FinishedCase:
    """Reads the file, unless its answer is there; may be called in another thread.

    Args:
        files: the case, and where its answer goes.
        options: of the run.
        model: what of the model and of how it runs decides on the answer.
        max_bytes: as io.read.
        begin: called before anything of the image is read, where the answer is to be made.
        others: the files of all cases, which no file of an object may be.

    Raises:
        Refused: another answer is there.
        Error: whatever is wrong with the file, its boxes or the place of the answer, before anything was segmented.
    """
    started = time.perf_counter()
    case, path = files.case, Path(files.case.path)
    found = case_input(files, options, model)
    made_of = found.made_of
    finished = finished_objects(files, found, options)
    if finished is not None:
        return FinishedCase(finished, time.perf_counter() - started)
    begin(found)
    source = io.read(
        path,
        volume=case.volume,
        series=case.series,
        max_bytes=max_bytes,
        skip_unreadable=bool(made_of["skip_unreadable"]),
    )
    notes = Notes([f"note: {note}" for note in source.notes])
    prompts = boxes_of(case, source, max_bytes)
    notes.lines.extend(f"note: {note}" for note in prompts.notes)
    masks = _masks(files, prompts)
    if prompts.lines and source.is_volume and not source.spaced:
        notes.note(
            "note: the file has no spacing: objects of lines are carried through the slices as if voxels were cubes"
        )
    if others is not None:
        for label, mask in masks.items():
            others.check(f"label {label}", mask)
    _check_places(files, source, prompts, [*found.image, *found.beside], options.overwrite)
    notes.lines.extend(
        f"note: {mask} is of an earlier answer with other objects and stays, as it was changed after it was written"
        for mask, unchanged in answer_record.outlived(files, masks.values()).items()
        if not unchanged
    )
    shown = prepared_image(source, made_of["window"], made_of["modality"], notes)
    # After reading, which refuses what is too large; `unchanged` tells of changes.
    content = input_digest(path, found.image)
    return ReadCase(
        made_of, content, source, prompts, shown, found.unchanged, time.perf_counter() - started, notes.lines
    )


def _check_places(
    files: CaseFiles, source: io.MedicalImage, prompts: LabeledBoxes, read_files: list[Path], overwrite: bool
) -> None:
    files.record.parent.mkdir(parents=True, exist_ok=True)
    if not files.per_object:
        check_outputs({"the answer": files.answer, "its record": files.record}, read_files)
        io.check_output(files.answer, source, prompts.highest, names=prompts.written_names)
        return
    masks = _masks(files, prompts)
    for path in masks.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    if not overwrite:
        answer_record.check_foreign(files, masks.values())
    check_outputs({"its record": files.record, **{f"label {k}": path for k, path in masks.items()}}, read_files)
    for label, path in masks.items():
        io.check_output(path, source, label, names=_name_of(prompts, label))


def _name_of(prompts: LabeledBoxes, label: int) -> dict[int, str] | None:
    return {label: prompts.names_by_label[label]} if prompts.named else None


def segment_case(engine: Engine, read: ReadCase, progress: Callable[[int, int], object]) -> FoundObjects:
    """The objects of a case; `progress` gets slices done and in all."""
    depth = read.source.grid[0]
    modality = engine_modality(read.made_of["modality"], read.source)
    if read.prompts.lines:
        pixels = read.shown.slices(range(depth))
        return objects_by_session(engine, pixels, read.source, read.prompts, modality, progress)
    if not read.source.is_volume:
        found = engine.segment_objects(read.shown.slices(range(depth)), read.prompts.boxes, modality=modality)
    else:
        pixels = read.shown.slices(read.prompts.reached(depth))
        found = engine.segment_volume_objects(pixels, read.prompts.boxes, progress=progress, modality=modality)
    return relabeled(found, read.prompts)


def write_case(
    files: CaseFiles,
    read: ReadCase,
    found: FoundObjects,
    options: RunOptions,
    about: Mapping[str, Any],
) -> list[Measured]:
    """Writes the answer of a case, its preview and, last, its record, and counts what was found.

    Nothing is written where another process has made this very answer since the case was read.

    Args:
        files: of the case.
        read: the case.
        found: its objects.
        options: of the run.
        about: more for the record: the engine, times, notes.

    Raises:
        Refused: since then, another answer has come to its place.
        InvalidArgument: a file cannot be written, or the image was written to meanwhile.
    """
    read.unchanged.check()
    masks = _masks(files, read.prompts)
    if not options.overwrite:  # as at reading, which may be long ago
        made = answer_record.finished_objects(files, read.made_of, lambda: read.content, options.if_different)
        if made is not None:
            return made
        answer_record.check_foreign(files, masks.values())
    objects = _measured(found, files.case, read.prompts, read.source)
    answer_record.begin(files, read.made_of, masks.values())
    written = _write_labels(files, masks, read.source, read.prompts, found.labels)
    answer_record.remove_outlived(files, written)
    if files.preview is not None:
        files.preview.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(files.preview, result_picture(read.shown, found.labels, read.source, read.prompts, ([], [])))
    head = {"file": files.case.file} if read.state is None else {"file": files.case.file, "input_state": read.state}
    answer_record.finish(files, read.made_of, read.content, objects, written, {**head, **about})
    return objects


def _masks(files: CaseFiles, prompts: LabeledBoxes) -> dict[int, Path]:
    """The file of each object by label; none where the case has one file."""
    return files.masks(prompts.names_by_label) if files.per_object else {}


def _write_labels(
    files: CaseFiles,
    masks: Mapping[int, Path],
    source: io.MedicalImage,
    prompts: LabeledBoxes,
    labels: NDArray[np.generic],
) -> dict[Path, str]:
    """Writes the files of an answer; returns the digest of each."""
    if not files.per_object:
        content, _ = label_file(files.answer, labels, source, names=prompts.written_names, derived_uids=True)
        return {files.answer: answer_record.write_hashed(files.answer, content)}
    written = {}
    for label, path in masks.items():
        mask = np.where(labels == label, labels, 0).astype(labels.dtype)
        content, _ = label_file(path, mask, source, names=_name_of(prompts, label), derived_uids=True)
        written[path] = answer_record.write_hashed(path, content)
    return written


def _measured(found: FoundObjects, case: CaseSpec, prompts: LabeledBoxes, source: io.MedicalImage) -> list[Measured]:
    names = [row.name for row in case.objects] or (prompts.names if prompts.named else ())
    return [
        Measured(
            shown.label,
            shown.name,
            shown.count,
            shown.size / 1000 if shown.in_volume and shown.size is not None else None,
            None if math.isnan(shown.iou) else shown.iou,
        )
        for shown in reported_objects(found, prompts.labels, names, source)
    ]
