# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One case: read, shown through its window, segmented and written, with the same parts as `medsam-engine segment`."""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsam_engine import Engine, io
from medsam_engine.base.output_check import ReadFiles, check_outputs
from medsam_engine.cohort import answer_record
from medsam_engine.cohort.answer_paths import record_path
from medsam_engine.cohort.answer_record import Measured, file_digest
from medsam_engine.cohort.case_table import Case
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.formats import input_format
from medsam_engine.io.input_file import Unchanged
from medsam_engine.io.labeled_boxes import BoxOptions, LabeledBoxes, resolve_boxes
from medsam_engine.io.named_boxes import default_name
from medsam_engine.io.picture.png_file import write_rgb
from medsam_engine.io.source_files import source_files
from medsam_engine.show.found_objects import FoundObjects, relabeled, reported_objects
from medsam_engine.show.prepared_image import engine_modality, prepared_image
from medsam_engine.show.result_picture import result_picture
from medsam_engine.windows import Windowed


@dataclass(frozen=True)
class RunOptions:
    """What holds for every case of a table, unless a row says otherwise.

    Attributes:
        table: its name, for messages.
        modality, window: where the table has none; None = as the file says.
        max_bytes: as io.read.
        skip_unreadable: as io.read, of folders.
        overwrite: make answers again that are there.
        model: what of the model and of how it runs decides on the answer.
        read: the files and folders of all cases.
    """

    table: str
    modality: str | None
    window: str | None
    max_bytes: int | None
    skip_unreadable: bool
    overwrite: bool
    model: dict[str, str]
    read: ReadFiles


@dataclass
class Notes:
    """What there is to say of a case, to be said when it ends: it is read while another one is segmented."""

    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Another line."""
        self.lines.append(text)


@dataclass(frozen=True)
class ReadCase:
    """A case ready for the engine, or finished before.

    Attributes:
        made_of: what decides on the answer beside the input, for its record.
        content: a digest of the input; "" where `finished`.
        finished: the objects of the answer that is there; None where it is to be made.
        source, prompts, shown: None where it is not.
        unchanged: whether the files behind `source` are still those that were read.
        seconds: that it took.
        notes: to be said.
    """

    made_of: dict[str, Any]
    content: str
    finished: list[Measured] | None
    source: io.MedicalImage | None
    prompts: LabeledBoxes | None
    shown: Windowed | None
    unchanged: Unchanged
    seconds: float
    notes: list[str]


def read_case(case: Case, answer: Path, options: RunOptions, max_bytes: int | None) -> ReadCase:
    """Reads the file, unless its answer is there; may be called in another thread.

    Args:
        case: of the table.
        answer: where its answer goes.
        options: of the run.
        max_bytes: as io.read.

    Raises:
        Error: whatever is wrong with the file, its boxes or the place of the answer, before anything was segmented.
    """
    started = time.perf_counter()
    input_format(case.path)  # says of a file that is missing, or none, that it is
    files = sorted(source_files(case.path))
    unchanged = Unchanged(files)
    window, modality = case.options.window or options.window, case.options.modality or options.modality
    made_of = {
        **options.model,
        "input_bytes": unchanged.total_bytes,
        "objects": [[row.label, row.name, row.in_mm, *row.box] for row in case.objects],
        "window": window,
        "modality": modality,
        "series": case.options.series,
        "volume": case.options.volume,
        "skip_unreadable": options.skip_unreadable and case.path.is_dir(),
    }
    if not options.overwrite:
        finished = answer_record.finished_objects(answer, made_of, lambda: _digest(case.path, files))
        if finished is not None:
            return ReadCase(made_of, "", finished, None, None, None, unchanged, time.perf_counter() - started, [])
    source = io.read(
        case.path,
        volume=case.options.volume,
        series=case.options.series,
        max_bytes=max_bytes,
        skip_unreadable=bool(made_of["skip_unreadable"]),
    )
    notes = Notes([f"note: {note}" for note in source.notes])
    prompts = boxes_of(case, source, options.table)
    answer.parent.mkdir(parents=True, exist_ok=True)
    check_outputs({"the answer": answer, "its record": record_path(answer)}, files)
    io.check_output(answer, source, prompts.highest, names=prompts.written_names)
    shown = prepared_image(source, window, modality, notes)
    content = _digest(case.path, files)  # after reading, which refuses what is too large; `unchanged` tells of changes
    return ReadCase(
        made_of, content, None, source, prompts, shown, unchanged, time.perf_counter() - started, notes.lines
    )


def boxes_of(case: Case, image: io.MedicalImage, table: str) -> LabeledBoxes:
    """The boxes of a case in the image's indices. InvalidArgument: one is wrong for this image, by its line."""
    boxes = []
    for row in case.objects:
        box = [list(row.box)]
        try:
            wanted = BoxOptions([] if row.in_mm else box, box if row.in_mm else [], None, 0, 0)
            boxes.append(resolve_boxes(wanted, image).boxes)
        except Error as error:
            raise InvalidArgument(f"{table} line {row.line}: {error}") from error
    labels = np.array([row.label for row in case.objects], np.int64)
    names = tuple(row.name or default_name(row.label) for row in case.objects)
    return LabeledBoxes(np.vstack(boxes), labels, names, named=any(row.name for row in case.objects))


def segment_case(engine: Engine, read: ReadCase, progress: Callable[[int, int], object]) -> FoundObjects:
    """The objects of a case that is not finished; `progress` gets slices done and in all."""
    assert read.source is not None
    assert read.prompts is not None
    assert read.shown is not None
    depth = read.source.grid[0]
    modality = engine_modality(read.made_of["modality"], read.source)
    if not read.source.is_volume:
        found = engine.segment_objects(read.shown.slices(range(depth)), read.prompts.boxes, modality=modality)
    else:
        pixels = read.shown.slices(read.prompts.reached(depth))
        found = engine.segment_volume_objects(pixels, read.prompts.boxes, progress=progress, modality=modality)
    return relabeled(found, read.prompts)


def write_case(
    case: Case, answer: Path, preview: Path | None, read: ReadCase, found: FoundObjects, segment_s: float
) -> list[Measured]:
    """Writes the answer of a case, its record and its preview, and counts what was found.

    InvalidArgument: a file cannot be written, or the image was written to meanwhile.
    """
    assert read.source is not None
    assert read.prompts is not None
    assert read.shown is not None
    read.unchanged.check()
    labels = found.labels
    objects = _measured(found, case, read.source)
    answer_record.begin(answer, read.made_of)
    io.write(answer, labels, read.source, names=read.prompts.written_names)
    if preview is not None:
        preview.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(preview, result_picture(read.shown, labels, read.source, read.prompts, ([], [])))
    seconds = {"read": round(read.seconds, 3), "segment": round(segment_s, 3)}
    answer_record.finish(
        answer, read.made_of, read.content, objects, {"file": case.file, "seconds": seconds, "notes": read.notes}
    )
    return objects


def _measured(found: FoundObjects, case: Case, source: io.MedicalImage) -> list[Measured]:
    numbers = np.array([row.label for row in case.objects], np.int64)
    reported = reported_objects(found, numbers, [row.name for row in case.objects], source)
    return [
        Measured(
            shown.label,
            shown.name,
            shown.count,
            shown.size / 1000 if shown.in_volume and shown.size is not None else None,
            None if math.isnan(shown.iou) else shown.iou,
        )
        for shown in reported
    ]


def _digest(path: Path, files: Sequence[Path]) -> str:
    """Returns the SHA-256 of a file, or of the names and digests of all files of a folder or of a header."""
    if list(files) == [path]:
        return file_digest(path)
    lines = []
    for file in files:
        try:
            lines.append(f"{file_digest(file)} {file.name}")
        except Error:
            lines.append(f"unreadable {file.name}")  # io.read has allowed that
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
