# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The examples for Dask, Kubernetes and Nextflow, as far as they run without a cluster of theirs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster_cases import Cohort, answers_of, records_of

from medsam_engine.cohort import CaseResult, CaseSpec, RunOptions, read_cases
from medsam_engine.errors import InvalidArgument

ROOT = Path(__file__).resolve().parents[2]


def test_dask_gives_the_local_answers(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not installed; run `make cluster`")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import dask_cases

    local = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        options = RunOptions(str(tmp_path / "out"), threads=1)
        results = dask_cases.run(client, read_cases(cohort.table).cases, options)
        workers = {worker.name: worker.plugins["medsam-engine"].cases for worker in cluster.workers.values()}
    assert {result.status for result in results} == {"done"}
    assert len(results) == len(cohort.answers)
    assert answers_of(tmp_path / "out") == cohort.answers
    assert records_of(tmp_path / "out") == cohort.records
    assert len({id(worker) for worker in workers.values()}) == 2, "a worker keeps its engine"


def poisoned(case: CaseSpec) -> CaseResult:
    """As dask_cases.do_case; ends the worker's process with one of the cases, as a fault in a library would."""
    if case.file.endswith("us1.png"):
        os._exit(139)
    return CaseResult(case.file, "", "done")


def test_a_case_that_ends_its_dask_workers_leaves_the_others_their_results(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not installed; run `make cluster`")
    dask = pytest.importorskip("dask", reason="it comes with distributed")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import dask_cases

    monkeypatch.setattr(dask_cases, "do_case", poisoned)
    cases = read_cases(cohort.table).cases[:8]
    local = {"processes": True, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    # At once: with a second try, a case that waits beside the poisoned one would end before or with it, by chance.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.scheduler.worker-saturation": 1}),
        distributed.LocalCluster(**local) as cluster,
        distributed.Client(cluster) as client,
    ):
        results = dask_cases.run(client, cases, RunOptions(str(tmp_path / "out"), threads=1))
    assert {result.name for result in results} == {case.file for case in cases}
    assert [result.name for result in results if not result.whole] == ["scans/us1.png"]
    (failed,) = (result for result in results if not result.whole)
    assert (failed.status, failed.message) == (
        "failed",
        "the workers that it was on have ended, 1 of them; see their logs",
    )


def test_dask_refuses_two_cases_of_one_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="distributed is not installed; run `make cluster`")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import dask_cases

    cases = [CaseSpec.of(f"/{folder}/scan.nii.gz", [[1, 2, 0, 3, 4, 1]]) for folder in ("p1", "p2")]
    no_client: Any = None
    with pytest.raises(
        InvalidArgument, match=r"cases: got /p2/scan\.nii\.gz, whose answer scan\.nii\.gz is that of /p1"
    ):
        dask_cases.run(no_client, cases, RunOptions(str(tmp_path / "out")))


@pytest.mark.parametrize(
    ("array", "shard"),
    [
        ((0, 0, 7, 8), "1/8"),
        ((7, 5, 7, 3), "3/3"),
        ((4, 4, 4, 1), "1/1"),
        ((2, 0, 6, 4), None),  # --array=0-7:2
        ((5, 3, 5, 2), None),  # --array=3,5
    ],
)
def test_the_shard_of_a_task_of_slurm(array: tuple[int, int, int, int], shard: str | None, tmp_path: Path) -> None:
    program = tmp_path / "medsam-engine"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    names = ("ID", "MIN", "MAX", "COUNT")
    task = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(names, array, strict=True)}
    script = ROOT / "examples" / "slurm" / "cases.sbatch"
    inside = {"PATH": os.environ["PATH"], "MEDSAM_ENGINE": str(program), **task}
    ended = subprocess.run(["sh", script, "cases.csv", "out"], env=inside, capture_output=True, text=True, check=False)
    if shard is None:
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "got an array with gaps" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    else:
        assert (ended.returncode, ended.stdout) == (0, f"run cases.csv out --shard {shard} --threads 1\n")


def manifest() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed; run `make cluster`")
    found: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "kubernetes" / "cases.yaml").read_text())
    return found


def test_the_job_of_kubernetes_is_valid() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="not installed; run `make cluster`")
    job = manifest()
    for version in ("1.33", schemas.latest_version()):
        schemas.validate(job, version, strict=True)
    job["spec"]["completionMod"] = "Indexed"
    with pytest.raises(schemas.ValidationError):
        schemas.validate(job, "1.33", strict=True)


def test_the_shards_of_the_job_are_all_cases(cohort: Cohort, environment: dict[str, str], tmp_path: Path) -> None:
    job = manifest()["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (line,) = container["args"]
    shards = {entry["name"]: entry["value"] for entry in container["env"]}["SHARDS"]
    assert int(shards) == job["completions"], "the number of shards is the number of indices"
    line = line.replace("/cohort/cases.csv", str(cohort.table)).replace("/cohort/answers", str(tmp_path / "out"))
    done = 0
    for index in range(job["completions"]):
        inside = {**environment, "JOB_COMPLETION_INDEX": str(index), "SHARDS": shards}
        ended = subprocess.run([*container["command"], line], env=inside, capture_output=True, text=True, check=True)
        done += int(re.findall(r"^(\d+) cases? done, 0 skipped", ended.stderr, re.MULTILINE)[0])
    assert done == len(cohort.answers)
    assert answers_of(tmp_path / "out") == cohort.answers


def nextflow_script(text: str, values: dict[str, str]) -> str:
    """The shell script of the process, as Nextflow's strings would give it."""
    body: str = re.findall(r'script:.*?"""\n(.*?)"""', text, re.DOTALL)[0]
    for name, value in values.items():
        body = body.replace("${" + name + "}", value)
    return body.replace("\\$", "$").replace("\\\\\n", "\\\n")


def test_the_script_of_nextflow_runs_as_a_shell_runs_it(
    cohort: Cohort, environment: dict[str, str], tmp_path: Path
) -> None:
    text = (ROOT / "examples" / "nextflow" / "modules" / "local" / "medsam_engine_run" / "main.nf").read_text()
    for shard in (1, 2):
        values = {"cases": str(cohort.table), "answers": str(tmp_path / "out"), "model": "", "shard": str(shard)}
        values |= {"shards": "2", "task.cpus": "1", "args": "", "task.process": "MEDSAM_ENGINE_RUN"}
        script = nextflow_script(text, values)
        assert "${" not in script
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, cwd=tmp_path, check=True)
        assert (tmp_path / f"shard_{shard}.csv").is_file()
    assert answers_of(tmp_path / "out") == cohort.answers
    assert re.search(r"medsam-engine: \d+\.\d+\.\d+\n", (tmp_path / "versions.yml").read_text())


def test_nextflow_runs_it(cohort: Cohort, environment: dict[str, str], tmp_path: Path) -> None:
    program = shutil.which("nextflow")
    if program is None:
        pytest.skip("nextflow is not here; its package on PyPI is a downloader of it")
    command = [program, "run", str(ROOT / "examples" / "nextflow" / "main.nf"), "--cases", str(cohort.table)]
    options = ["--answers", str(tmp_path / "out"), "--shards", "2", "-process.cpus", "1"]
    subprocess.run([*command, *options], env=environment, cwd=tmp_path, check=True)
    assert answers_of(tmp_path / "out") == cohort.answers
