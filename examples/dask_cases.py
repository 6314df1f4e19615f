# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A list of cases on Dask: ``dask_cases.py CASES ANSWERS [SCHEDULER]``, SCHEDULER as Dask's Client has it (tcp://...).

Without one, workers on this machine do the cases, one per core. Each worker loads its engine once. What is done is
skipped when this runs again, here or elsewhere: the records beside the answers say it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, as_completed, get_worker
from distributed.worker import Worker

from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RunOptions, check_distinct_answers, read_cases


class CasePlugin(WorkerPlugin):  # type: ignore[misc]  # distributed ships no types
    """Gives a Dask worker an engine, which the first case loads."""

    name = "medsam-engine"

    def __init__(self, options: RunOptions) -> None:
        """The options of the run."""
        self.options = options
        self.cases: CaseWorker | None = None

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 (Dask calls it so)
        """On the worker, before its first task."""
        self.cases = CaseWorker(self.options)


def do_case(case: CaseSpec) -> CaseResult:
    """A task: one case with the engine of the worker that it runs on, which has one thread for tasks."""
    plugin: CasePlugin = get_worker().plugins[CasePlugin.name]
    assert plugin.cases is not None
    return plugin.cases(case)


def run(client: Client, cases: list[CaseSpec], options: RunOptions) -> list[CaseResult]:
    """One result per case, as the cases end.

    Dask gives a case whose worker has ended to another one, and gives it up after four (allowed-failures). Such a case
    has failed here, and all others go on. A case that waited on such workers may be given up too: a second run does it.
    """
    check_distinct_answers(cases, options)
    client.register_plugin(CasePlugin(options))
    names = [f"medsam-{index}-{case.file}" for index, case in enumerate(cases)]
    futures = client.map(do_case, cases, key=names, pure=False)
    by_key = {future.key: case for future, case in zip(futures, cases, strict=True)}
    return [_result(future, by_key[future.key]) for future in as_completed(futures)]


def _result(future: Future, case: CaseSpec) -> CaseResult:
    error = future.exception()
    if isinstance(error, KilledWorker):
        message = f"the workers that it was on have ended, {error.allowed_failures + 1} of them; see their logs"
        return CaseResult(case.file, "", "failed", len(case.objects), message=message)
    ended: CaseResult = future.result()  # raises what concerns all cases: an engine that cannot be loaded
    return ended


def main() -> int:
    """The exit status: 1 if a case failed."""
    table, answers = sys.argv[1], os.path.abspath(sys.argv[2])
    cases = read_cases(Path(table).absolute()).cases
    if len(sys.argv) > 3:
        client = Client(sys.argv[3])
    else:
        client = Client(LocalCluster(threads_per_worker=1, dashboard_address=None))
    with client:
        results = run(client, cases, RunOptions(answers, threads=1))
    for result in results:
        if not result.whole:
            print(f"{result.name}: {result.message}", file=sys.stderr)
    print(f"{sum(result.whole for result in results)} of {len(results)} cases have an answer")
    return int(not all(result.whole for result in results))


if __name__ == "__main__":
    sys.exit(main())
