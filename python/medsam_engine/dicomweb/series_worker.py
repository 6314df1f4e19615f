# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The worker whose cases are series of a DICOMweb server: fetched before they are read, stored when written."""

import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medsam_engine import Engine
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_input import CaseInput
from medsam_engine.cohort.case_result import PENDING, SKIPPED, CaseResult, Measured
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_engine import decides_on_masks
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.segment_case import FinishedCase, ReadCase
from medsam_engine.cohort.worker import CaseWorker, fail
from medsam_engine.dicomweb import source_record
from medsam_engine.dicomweb.access import Access
from medsam_engine.dicomweb.server import DicomWebServer, SeriesEntry
from medsam_engine.errors import InvalidArgument
from medsam_engine.show.found_objects import FoundObjects


@dataclass(frozen=True)
class SeriesCase:
    """A series to be segmented.

    Attributes:
        series: of the images.
        case: its boxes; `file` is the SeriesInstanceUID, after which the answer is named, and `path` a URL.
        objects: the SEG or RTSTRUCT series that gives the boxes instead; None = those of `case`.
    """

    series: SeriesEntry
    case: CaseSpec
    objects: SeriesEntry | None = None


def series_case(server: DicomWebServer, series: SeriesEntry, case: CaseSpec, objects: SeriesEntry | None) -> SeriesCase:
    """The case of a series: `case` under the names that it has for a run."""
    url = f"{server.url}/studies/{series.study}/series/{series.uid}"
    return SeriesCase(series, replace(case, file=series.uid, path=url, series=None), objects)


@dataclass(frozen=True)
class Served:
    """What a worker needs to know of the server.

    Attributes:
        cases: the series that may be asked for, by their UIDs.
        url: of the server.
        access: to it.
        store: store each answer, which is a DICOM SEG, where the images are from.
    """

    cases: Mapping[str, SeriesCase]
    url: str
    access: Access
    store: bool = False


class SeriesWorker(CaseWorker):
    """Does series of a server. A finished one whose instances are the same on the server is not fetched again.

    As CaseWorker: `read` may run in a thread while another case is segmented, and so may `write`. It cannot be pickled.
    """

    def __init__(self, served: Served, options: RunOptions, engine: Engine, *others: Any, **more: Any) -> None:
        """The series, and what CaseWorker is made with. Raises as CaseWorker and DicomWebServer."""
        super().__init__(options, engine, *others, **more)
        self._served = served
        # Each of the two threads has a session of its own.
        self._reading, self._writing = (DicomWebServer(served.url, served.access) for _ in range(2))
        self._made_by = {**decides_on_masks(engine.info), **source_record.deciding(options)}
        self._folders: dict[str, Path] = {}  # of series that are at work
        self._fetched: dict[str, source_record.Source] = {}  # those that are there as a whole
        weakref.finalize(self, _remove, self._folders)

    def read(self, files: CaseFiles, max_bytes: int | None = None) -> ReadCase | FinishedCase:
        """Fetches a series and reads it, unless its answer is there. Raises as CaseWorker.read and the server."""
        started = time.perf_counter()
        wanted = self._served.cases[files.case.file]
        source = self._source(wanted)
        finished = self._finished(files, wanted, source)
        if finished is not None:
            self._store_answer(files, self._reading)
            self.ledger.clear(files.record)  # it may have failed to be stored before
            return FinishedCase(finished, time.perf_counter() - started)
        read = super().read(replace(files, case=self._fetch(wanted, source)), max_bytes)
        if isinstance(read, FinishedCase):  # of the same bytes, fetched for another reason
            source_record.write(files, source)
            self._store_answer(files, self._reading)
        return replace(read, seconds=time.perf_counter() - started)

    def write(self, files: CaseFiles, read: ReadCase, found: FoundObjects, end: CaseResult) -> None:
        """Writes the answer, and stores it where that was asked for. Raises as CaseWorker.write and the server."""
        super().write(files, read, found, end)
        source_record.write(files, self._fetched[files.case.file])
        self._store_answer(files, self._writing)

    def ended(self, files: CaseFiles, end: CaseResult) -> None:
        """As CaseWorker; removes what was fetched for the case."""
        super().ended(files, end)
        self._fetched.pop(files.case.file, None)
        folder = self._folders.pop(files.case.file, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def plan(self, files: CaseFiles) -> CaseResult:
        """What would become of a case: skipped where that can be told without the images, or else pending."""
        end = CaseResult(files.case.file, str(files.answer), PENDING, len(files.case.objects))
        try:
            wanted = self._served.cases[files.case.file]
            finished = self._finished(files, wanted, self._source(wanted))
            if finished is not None:
                end.status, end.measured = SKIPPED, finished
        except Exception as error:  # of one case
            fail(end, error)
        return end

    def _key(self, _files: CaseFiles, found: CaseInput, /) -> str:
        return found.key(fetched=True)

    def _finished(self, files: CaseFiles, wanted: SeriesCase, source: source_record.Source) -> list[Measured] | None:
        # A file of boxes on this machine may have been edited: then the answer's own record decides.
        if self.options.overwrite or wanted.case.boxes_from is not None:
            return None
        return source_record.finished_objects(files, source)

    def _store_answer(self, files: CaseFiles, server: DicomWebServer) -> None:
        if self._served.store:
            server.store(files.answer)

    def _source(self, wanted: SeriesCase) -> source_record.Source:
        parts = [wanted.series, *([wanted.objects] if wanted.objects is not None else [])]
        instances = {part.uid: self._reading.instances_of(part) for part in parts}
        return source_record.Source(
            self._reading.url, wanted.series.study, wanted.series.uid, instances, wanted.case.content(), self._made_by
        )

    def _fetch(self, wanted: SeriesCase, source: source_record.Source) -> CaseSpec:
        uid = wanted.series.uid
        if uid not in self._folders:
            self._folders[uid] = Path(tempfile.mkdtemp(prefix="medsam-dicomweb-"))
        images, objects = (self._folders[uid] / name for name in ("images", "objects"))
        if self._fetched.get(uid) != source:
            for place in (images, objects):
                shutil.rmtree(place, ignore_errors=True)
            for part, place in ((wanted.series, images), (wanted.objects, objects)):
                if part is not None:
                    place.mkdir(parents=True)
                    self._reading.fetch(part, place, self.options.max_bytes, source.instances[part.uid])
            self._fetched[uid] = source
        return replace(wanted.case, path=str(images), boxes_from=_boxes_from(wanted, objects))


def _remove(folders: Mapping[str, Path]) -> None:
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)


def _boxes_from(wanted: SeriesCase, folder: Path) -> str | None:
    if wanted.objects is None:
        return wanted.case.boxes_from
    files = sorted(folder.iterdir())
    if len(files) != 1:
        raise InvalidArgument(
            f"--boxes-from: got {len(files)} instances in series {wanted.objects.uid}, expected one; store it in a "
            "series of its own"
        )
    return str(files[0])
