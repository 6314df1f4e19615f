# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/slurm/cases.sbatch on a real SLURM of one node: all shards, and a task that is stopped and continues."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_cases import Cohort, answers_of, local_answers, write_cohort
from slurm_daemons import PATIENCE_S, SlurmDaemons, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "slurm" / "cases.sbatch"
# What the page's command asks for is more than a node of the tests has.
SMALL = ("--cpus-per-task=1", "--mem=1G")


@pytest.fixture(scope="module")
def slurm(short_folder: Path, environment: dict[str, str]) -> Iterator[SlurmDaemons]:
    assert environment
    folder = short_folder / "slurm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with SlurmDaemons(folder) as daemons:
        yield daemons


def submit(slurm: SlurmDaemons, *words: str) -> str:
    """The job's number."""
    job: str = slurm.call("sbatch", "--parsable", *SMALL, f"--output={slurm.folder}/%A_%a.out", *words).partition(";")[
        0
    ]
    return job


def states(slurm: SlurmDaemons, job: str) -> list[str]:
    """The state of each task of an array."""
    lines = slurm.call("scontrol", "show", "--oneliner", "job", job).splitlines()
    return [word.partition("=")[2] for line in lines for word in line.split() if word.startswith("JobState=")]


def wait_until(slurm: SlurmDaemons, job: str, wanted: str) -> None:
    for _ in range(4 * PATIENCE_S):
        if set(states(slurm, job)) == {wanted}:
            return
        time.sleep(0.5)
    pytest.fail(f"job {job} is {states(slurm, job)}, not {wanted}: {output_of(slurm, job)} {slurm.logs()}")


def output_of(slurm: SlurmDaemons, job: str) -> str:
    return "\n".join(path.read_text() for path in sorted(slurm.folder.glob(f"{job}_*.out")))


def test_an_array_does_each_case_once(slurm: SlurmDaemons, cohort: Cohort, tmp_path: Path) -> None:
    job = submit(slurm, "--array=5-7", str(SCRIPT), str(cohort.table), str(tmp_path / "out"))
    wait_until(slurm, job, "COMPLETED")
    assert answers_of(tmp_path / "out") == cohort.answers
    ends = [line for line in output_of(slurm, job).splitlines() if " cases done" in line]
    done = [int(line.split()[0]) for line in ends]
    assert len(done) == 3
    assert sum(done) == len(cohort.answers), "no case is in two shards"
    assert min(done) > 0


def test_a_task_that_is_stopped_goes_back_into_the_queue_and_continues(
    slurm: SlurmDaemons, environment: dict[str, str], tmp_path: Path
) -> None:
    assert environment
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    many = local_answers(write_cohort(folder, 600), tmp_path / "local")
    job = submit(slurm, "--array=0", str(SCRIPT), str(many.table), str(out))
    while not list((out / "scans").glob("*.png")):
        assert set(states(slurm, job)) <= {"PENDING", "RUNNING"}, output_of(slurm, job)
    # What SLURM does --signal=B:TERM@120 before the limit.
    slurm.call("scancel", "--batch", "--signal=TERM", job)
    wait_until(slurm, job, "COMPLETED")
    assert answers_of(out) == many.answers
    ends = [line.split() for line in output_of(slurm, job).splitlines() if " done, " in line]
    assert len(ends) == 2, "two runs of the one task"
    (first, _), (second, skipped) = ((int(end[0]), int(end[3])) for end in ends)
    assert 0 < first < 600
    assert skipped >= first
    assert second + skipped == 600
