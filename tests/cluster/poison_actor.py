# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An actor whose process ends while a case of a certain name is segmented, as a fault in a library would end it."""

import os
from collections.abc import Callable

from medsam_engine.cohort import CaseResult, CaseSpec, RunOptions
from medsam_engine.cohort.ray_actor import CaseActor
from medsam_engine.cohort.segment_case import ReadCase
from medsam_engine.show.found_objects import FoundObjects


class PoisonActor(CaseActor):
    """Ends with `us1.png`."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        segment, self._case = self._worker.segment, ""

        def segment_or_end(read: ReadCase, progress: Callable[[int, int], object] | None = None) -> FoundObjects:
            if self._case.endswith("us1.png"):
                os._exit(139)
            return segment(read, progress)

        self._worker.segment = segment_or_end  # type: ignore[method-assign]

    def run(self, case: CaseSpec, tried: bool) -> CaseResult:
        """As CaseActor."""
        self._case = case.path
        return super().run(case, tried)
