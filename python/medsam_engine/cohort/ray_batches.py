# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases as a stage of a Ray Data pipeline: a class for `Dataset.map_batches`, and the rows that it takes.

    rows = ray_rows(read_cases("cases.csv").cases, options)
    cases = ray.data.from_items(rows).repartition(len(rows))
    ends = cases.map_batches(CaseBatches, fn_constructor_args=[options], batch_size=1, num_cpus=1, concurrency=(1, 8))

What needs no pipeline is better off with `segment_on_ray`, which gives up a case that ends its process again and again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.distinct_answers import check_distinct_answers
from medsam_engine.cohort.ray_options import case_on_any_node, on_any_node
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker


def ray_rows(cases: Iterable[CaseSpec], options: RunOptions) -> list[dict[str, str]]:
    """A row per case for `ray.data.from_items`: its name, and all of it as JSON with absolute paths.

    Args:
        cases: all cases of the run.
        options: those that CaseBatches gets.

    Raises:
        InvalidArgument: two cases would have one answer, or options do not go together.
    """
    listed = list(cases)
    check_distinct_answers(listed, options)
    return [{"name": case.file, "case": json.dumps(case_on_any_node(case).content())} for case in listed]


class CaseBatches:
    """Does the cases of each batch, with one engine per actor of Ray Data.

    A batch is a dictionary with the column `case`, (n,) text, as `ray_rows` makes it. Its other columns are kept, and
    these are added, (n,): `status`, `answer` and `message`, text, and `result`, the CaseResult as JSON.
    """

    def __init__(self, options: RunOptions) -> None:
        """The options of the run; `threads` should be num_cpus of map_batches, and is 1 if it is 0."""
        self._worker = CaseWorker(on_any_node(options))

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Does the cases of a batch, one after the other.

        Raises:
            Error: the engine cannot be loaded.
            InvalidArgument: a text is no case.
        """
        ends = [self._worker(CaseSpec.from_content(json.loads(str(text)))) for text in batch["case"]]
        return {
            **batch,
            "status": np.array([end.status for end in ends], dtype=object),
            "answer": np.array([end.answer for end in ends], dtype=object),
            "message": np.array([end.message for end in ends], dtype=object),
            "result": np.array([json.dumps(end.content()) for end in ends], dtype=object),
        }
