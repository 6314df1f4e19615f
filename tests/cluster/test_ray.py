# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases of a table on a real Ray: one node, three of which one is killed in mid-run, and a case that kills."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="ray is not installed; run `make cluster`")

from cluster_cases import Cohort, answers_of, records_of  # noqa: E402
from poison_actor import PoisonActor  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from medsam_engine.base.output_check import ReadFiles  # noqa: E402
from medsam_engine.cli.app import run  # noqa: E402
from medsam_engine.cohort import (  # noqa: E402
    CaseBatches,
    CaseResult,
    CaseWorker,
    RayOptions,
    RunOptions,
    ray_rows,
    read_cases,
    segment,
)
from medsam_engine.cohort.ray_actor import RayCluster  # noqa: E402
from medsam_engine.cohort.ray_run import RayRun, RayWork  # noqa: E402

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
# Of one node's store: what goes through it is far below the answers (2 MB), let alone the images.
MOST_STORED = 200_000


@pytest.fixture(autouse=True, scope="module")
def ray_environment(short_folder: Path) -> Iterator[None]:
    """Ray's files in a folder of the tests, nothing reported, and no token of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(short_folder))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv(
            "PYTHONPATH", os.pathsep.join(str(Path(__file__).parent / name) for name in ("", "../python/support"))
        )
        yield


@pytest.fixture(scope="module")
def three_nodes(environment: dict[str, str]) -> Iterator[Any]:
    """A head without CPUs and three nodes of one each; the last test takes one away."""
    assert environment
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
    for _ in range(3):
        cluster.add_node(**NODE)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def stored_bytes() -> float:
    """What the cluster's object stores hold."""
    have, free = ray.cluster_resources(), ray.available_resources()
    return float(have["object_store_memory"] - free.get("object_store_memory", 0.0))


def stored_bytes_at_least(wanted: int) -> bool:
    """Whether the stores hold so much, which nodes tell the cluster every now and then."""
    return any(stored_bytes() >= wanted for _ in range(10_000))


def test_one_node_gives_the_local_answers(cohort: Cohort, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, times = tmp_path / "out", tmp_path / "times.csv"
    command = ["run", str(cohort.table), str(out), "--ray", "local", "--actors", "2", "--csv", str(times)]
    assert run(command) == 0
    assert answers_of(out) == cohort.answers
    assert records_of(out) == cohort.records
    said = capfd.readouterr().err.splitlines()
    assert "ray: 2 engines loaded" in said
    assert said[-1].startswith("48 cases done, 0 skipped, 0 failed")
    assert len(times.read_text().splitlines()) == 49
    assert not ray.is_initialized(), "the run ends the Ray that it has started"


@pytest.mark.usefixtures("three_nodes")
def test_a_case_that_ends_its_process_and_a_second_run(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(RayCluster, "actor_class", PoisonActor)
    results = segment(cohort.table, RunOptions(str(out)), ray=RayOptions(actors=2))
    (given_up,) = [end for end in results if not end.whole]
    assert (given_up.name, given_up.status, given_up.quarantined) == ("scans/us1.png", "failed", True)
    assert {name: cohort.answers[name] for name in cohort.answers if name != "us1.png"} == answers_of(out)
    monkeypatch.undo()
    (still,) = [end for end in segment(cohort.table, RunOptions(str(out)), ray=RayOptions(actors=2)) if not end.whole]
    assert (still.name, still.quarantined) == ("scans/us1.png", True), "as a local run would have it"
    again = segment(cohort.table, RunOptions(str(out), retry_failed=True), ray=RayOptions(actors=2))
    assert [end.name for end in again if end.status == "done"] == ["scans/us1.png"]
    assert answers_of(out) == cohort.answers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Data's own
@pytest.mark.usefixtures("three_nodes")
def test_cases_as_batches_of_ray_data(cohort: Cohort, tmp_path: Path) -> None:
    data = pytest.importorskip("ray.data", reason="ray[data] is not installed")
    options = RunOptions(str(tmp_path / "out"))
    rows = ray_rows(read_cases(cohort.table).cases[:8], options)
    ends = data.from_items(rows, override_num_blocks=4).map_batches(
        CaseBatches, fn_constructor_args=[options], batch_size=2, num_cpus=1, concurrency=2
    )
    assert sorted((row["name"], row["status"]) for row in ends.iter_rows()) == sorted(
        (row["name"], "done") for row in rows
    )
    found = answers_of(tmp_path / "out")
    assert found == {name: cohort.answers[name] for name in found}
    assert len(found) == 8


def test_a_node_is_killed_in_mid_run(cohort: Cohort, tmp_path: Path, three_nodes: Any) -> None:
    out = tmp_path / "out"
    listed = read_cases(cohort.table).cases
    ended: list[CaseResult] = []
    stored: list[float] = []
    nodes = list(three_nodes.worker_nodes)
    held = ray.put(np.zeros(1 << 20, np.uint8))
    assert stored_bytes_at_least(1 << 20), "what a store holds is seen"
    del held

    def finished(end: CaseResult) -> None:
        ended.append(end)
        stored.append(stored_bytes())
        if len(ended) == 10:
            three_nodes.remove_node(nodes[0], allow_graceful=False)

    options, chosen = RunOptions(str(out)), RayOptions()
    with RayCluster(chosen) as cluster:
        worker = CaseWorker(options)
        files = [worker.files(case) for case in listed]
        work = RayRun(cluster, RayWork(files, worker, chosen, ReadFiles([])), finished)
        results = work.run()
    assert [end.name for end in results] == [case.file for case in listed]
    assert {end.status for end in results} <= {"done", "skipped"}
    assert len(ended) == len(results), "each case is told once"
    assert answers_of(out) == cohort.answers
    assert records_of(out) == cohort.records
    assert work.loads == work.actors_started
    assert max(stored) < MOST_STORED
