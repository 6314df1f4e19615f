# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How a case ended."""

from dataclasses import dataclass, field
from pathlib import Path

from medsam_engine.cohort.answer_record import Measured


@dataclass
class CaseEnd:
    """A case that has ended; the fields are the columns of --csv, which are those of a folder of NPZ cases.

    Attributes:
        name: the file as the table of cases has it.
        answer: where its answer is or would be.
        status: done, skipped or failed.
        message: of a failed case: why, in one line.
        measured: the objects of the answer; empty for a failed case.
    """

    name: str
    answer: Path
    status: str = "failed"
    objects: int = 0
    slices: int = 0
    read_s: float = 0.0
    segment_s: float = 0.0
    write_s: float = 0.0
    total_s: float = 0.0
    empty_objects: int = 0
    message: str = ""
    measured: list[Measured] = field(default_factory=list)
