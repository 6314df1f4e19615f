# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The examples for Dask, Kubernetes and Nextflow, as far as they run without a cluster of theirs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cluster_cases import Cohort, answers_of, records_of

from medsam_engine.cohort import RunOptions, read_cases

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
