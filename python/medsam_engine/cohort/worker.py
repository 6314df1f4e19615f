# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One worker: an engine that is loaded once, and the steps of a case. What every scheduler calls.

    worker = CaseWorker(RunOptions("answers"))
    for case in read_cases("cases.csv").cases:
        result = worker(case)

The local run, a Ray actor, a Dask worker and a task of a SLURM array all do this. Results do not depend on which worker
does a case, nor on the order; two workers that do the same case write the same files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medsam_engine import Engine, EngineInfo, __version__, find_bundle, simd_target
from medsam_engine.base.error_text import error_text
from medsam_engine.base.output_check import ReadFiles, check_output_folder
from medsam_engine.cohort.answer_paths import CaseFiles, files_of
from medsam_engine.cohort.answer_record import Refused
from medsam_engine.cohort.case_result import DONE, FAILED, REFUSED, SKIPPED, CaseResult
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions, chosen_precision
from medsam_engine.cohort.segment_case import ReadCase, read_case, segment_case, write_case
from medsam_engine.show.found_objects import FoundObjects

# The libraries behind DICOM files set Python's warnings, which all threads share: they read or write, one at a time.
_FILES = threading.Lock()


def decides_on_masks(about: EngineInfo) -> dict[str, str]:
    """What of an engine decides on its masks: an answer of another one is another answer."""
    return {
        "engine": __version__,
        "model": about.model_hash,
        "fingerprint": about.fingerprint,
        "profile": about.profile,
        "precision": f"{about.encoder_precision}/{about.decoder_precision}",
        "device": about.device,
        "backend": about.backend,
    }


class CaseWorker:
    """Does cases, one after the other, with one engine, which it loads when the first case asks for it.

    It can be pickled: the copy loads an engine of its own. Not thread-safe but for `read`, which may run in a thread
    while another case is segmented. After fork, in the child of a process that has had an engine, every case fails, as
    Engine does (use "spawn").
    """

    def __init__(self, options: RunOptions, engine: Engine | None = None, read: ReadFiles | None = None) -> None:
        """The options of the run; an engine that is loaded already; and the files of all cases, if they are known.

        Raises:
            InvalidArgument: options that do not go together.
        """
        options.check()
        self.options = options
        self._engine, self._read = engine, read
        self._model: dict[str, str] | None = None
        self._loading = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """The options alone: an engine cannot be sent anywhere."""
        return {"options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As __init__."""
        self.__init__(state["options"])  # type: ignore[misc]  # the same as a new one

    @property
    def engine(self) -> Engine:
        """The engine, loaded on the first use. Raises as Engine."""
        with self._loading:
            if self._engine is None:
                options = self.options
                self._engine = Engine(
                    find_bundle(options.bundle),
                    device=options.device,
                    precision=chosen_precision(options.precision, options.profile),
                    trust_bundle_certificates=options.trust_certificates,
                    threads=options.threads,
                    profile=options.profile,
                    cache_dir=options.cache_dir,
                )
            return self._engine

    def files(self, case: CaseSpec) -> CaseFiles:
        """Where the answer of a case goes."""
        options = self.options
        previews = None if options.previews is None else Path(options.previews)
        return files_of(case, Path(options.answers), options.output_format, previews, options.template)

    def read(self, files: CaseFiles, max_bytes: int | None = None) -> ReadCase:
        """Reads the image of a case, unless its answer is there. Raises Error: whatever is wrong with it."""
        # Links in the folder of the answers may lead to the file of another case.
        if self._read is not None:
            for option, path in {
                "the answer": files.answer,
                "its record": files.record,
                "its preview": files.preview,
            }.items():
                if path is not None:
                    self._read.check(option, path)
        else:
            check_output_folder("--output", Path(self.options.answers), [Path(files.case.path)])
        with _FILES:
            return read_case(files, self.options, self._decides_on_masks(), max_bytes or self.options.max_bytes)

    def segment(self, read: ReadCase, progress: Callable[[int, int], object] | None = None) -> FoundObjects:
        """The objects of a case that was read; `progress` gets slices done and in all."""
        return segment_case(self.engine, read, progress or (lambda _done, _total: None))

    def write(self, files: CaseFiles, read: ReadCase, found: FoundObjects, end: CaseResult) -> None:
        """Writes the answer and its record, and says so in `end`. Raises Error: it cannot be written."""
        started = time.perf_counter()
        with _FILES:
            end.measured = write_case(files, read, found, end.segment_s, self._ran())
        end.write_s = time.perf_counter() - started
        end.empty_objects = sum(measured.voxels == 0 for measured in end.measured)
        end.status = DONE

    def __call__(self, case: CaseSpec) -> CaseResult:
        """Does one case, from its files to its record; whatever is wrong with the case is in the result.

        Raises:
            Error: the engine cannot be loaded.
        """
        engine = self.engine  # its fault is none of the case's
        assert engine is not None
        started = time.perf_counter()
        end = CaseResult(case.file, "", objects=len(case.objects))
        try:
            files = self.files(case)
            end.answer = str(files.answer)
            read = self.read(files)
            end.read_s = read.seconds
            if not took_finished(end, read):
                begun = time.perf_counter()
                found = self.segment(read)
                end.segment_s, end.slices = time.perf_counter() - begun, slices_of(found)
                self.write(files, read, found, end)
        except Exception as error:  # of one case
            fail(end, error)
        end.total_s = time.perf_counter() - started
        return end

    def _decides_on_masks(self) -> dict[str, str]:
        if self._model is None:
            self._model = decides_on_masks(self.engine.info)
        return self._model

    def _ran(self) -> dict[str, Any]:
        """On what an answer was made: to be known of it, but other kernels make no other answer of it."""
        about = self.engine.info
        return {
            "kernels": simd_target(),
            "encoder": about.encoder_backend,
            "decoder": about.decoder_backend,
            "threads": about.threads,
        }


def took_finished(end: CaseResult, read: ReadCase) -> bool:
    """Whether the answer was there; then it is said in `end`."""
    if read.finished is None:
        return False
    end.status, end.measured = SKIPPED, read.finished
    return True


def slices_of(found: FoundObjects) -> int:
    """Slices of a result; an image has one."""
    return len(found.labels) if found.labels.ndim == 3 else 1


def fail(end: CaseResult, error: Exception) -> None:
    """Says in `end` why a case failed."""
    end.status = REFUSED if isinstance(error, Refused) else FAILED
    end.message = error_text(error)
