# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The two tables that a run over a table of cases writes, a row as each case ends."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from medsam_engine.base.printable import csv_cell
from medsam_engine.cohort.case_result import FAILED, REFUSED, CaseResult

# As a folder of NPZ cases has them (cpp/src/npz).
_CASE_COLUMNS = ("case", "status", "objects", "slices", "read_s", "segment_s", "write_s", "total_s", "empty_objects",
                 "message")  # fmt: skip
_OBJECT_COLUMNS = ("file", "answer", "label", "name", "voxels", "ml", "iou_estimate")


class _Table:
    """A CSV file; the first fault of its disk is kept and ends it, the run goes on."""

    def __init__(self, path: Path | None, header: Sequence[str]) -> None:
        self.fault = ""
        self._path = path
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = path.open("w", newline="", encoding="utf-8")
            except OSError as error:
                self._fail(error)
            self.add([header])

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        if self._file is None or self.fault:
            return
        try:
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.fault = self.fault or f"output: got {self._path}, expected a writable file; {error.strerror or error}"


class ResultTables:
    """--csv, a row per case, and --objects, a row per object; either may be None."""

    def __init__(self, cases: Path | None, objects: Path | None) -> None:
        self._cases = _Table(cases, _CASE_COLUMNS)
        self._objects = _Table(objects, _OBJECT_COLUMNS)

    @property
    def faults(self) -> list[str]:
        """What went wrong with the tables, a line each."""
        return [table.fault for table in (self._cases, self._objects) if table.fault]

    def add(self, end: CaseResult) -> None:
        """Writes the rows of a case."""
        times = [f"{seconds:.6f}" for seconds in (end.read_s, end.segment_s, end.write_s, end.total_s)]
        sizes = [end.objects, end.slices]
        status = FAILED if end.status == REFUSED else end.status  # the words of a folder of NPZ cases
        self._cases.add([[csv_cell(end.name), status, *sizes, *times, end.empty_objects, csv_cell(end.message)]])
        place = [csv_cell(end.name), csv_cell(end.answer)]
        self._objects.add(
            [[*place, m.label, csv_cell(m.name), m.voxels, _number(m.ml), _number(m.iou)] for m in end.measured]
        )

    def close(self) -> None:
        """After the last case."""
        self._cases.close()
        self._objects.close()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
