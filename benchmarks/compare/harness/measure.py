# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whole processes and stages of several systems that take turns (A B A B), so that a noisy machine hits all alike."""

import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.compare.harness.cases import Case
from benchmarks.compare.harness.process import ProcessRun, run_process
from benchmarks.compare.harness.systems import System, environment

# Calls a turn, and how many of them are left out: the first prompt of a turn finds another system's data in the caches.
_TURN = {"encode": (1, 0), "prompt": (6, 1), "batch": (1, 0)}
_SETTLE_S = 0.2  # worker threads of the system before still spin for a while


def measure_processes(
    systems: Mapping[str, System], case: Case, out: Path, repeats: int, budget_s: float, warm_up: bool
) -> dict[str, list[ProcessRun]]:
    """Runs of each system on one case: at least one, at most `repeats`, no new one when `budget_s` are spent."""
    runs: dict[str, list[ProcessRun]] = {key: [] for key in systems}
    spent = dict.fromkeys(systems, 0.0)
    for turn in range(repeats + warm_up):
        for key, system in systems.items():
            counted = turn >= warm_up
            if counted and runs[key] and spent[key] + runs[key][-1].wall_s > budget_s:
                continue
            run = run_process(system.folder(case.folder, out / key), environment())
            print(f"  {case.key:<10} {key:<9} {run.wall_s:8.2f} s {run.peak_rss_mb:6.0f} MB", flush=True)
            if counted:
                runs[key].append(run)
                spent[key] += run.wall_s
    return runs


class _Server:
    """A system that times its stages on request (benchmarks/compare/baselines/stages.py)."""

    def __init__(self, system: System, case: Path) -> None:
        self._title = system.title
        self.process = subprocess.Popen(
            [str(word) for word in system.stages(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
            bufsize=1,
        )
        if self._answer() != "ready":
            raise RuntimeError(f"{self._title}: the stages did not start")

    def seconds(self, stage: str) -> float:
        """One call of a stage."""
        assert self.process.stdin is not None
        self.process.stdin.write(stage + "\n")
        return float(self._answer())

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._title}: ended with status {self.process.wait()} amid the stages")
        return line


def measure_stages(
    systems: Mapping[str, System],
    case: Path,
    repeats: Mapping[str, int],
    between: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, list[float]]]:
    """Seconds by stage and system; `repeats` are the turns of each stage, and `between` is called after each."""
    with ExitStack() as stack:
        servers = {}
        for key, system in systems.items():
            servers[key] = _Server(system, case)
            stack.callback(servers[key].close)
        times: dict[str, dict[str, list[float]]] = {}
        for stage, turns in repeats.items():
            calls, left_out = _TURN[stage]
            times[stage] = {key: [] for key in servers}
            for turn in range(turns + 1):  # the first warms up
                for key, server in servers.items():
                    time.sleep(_SETTLE_S)
                    seconds = [server.seconds(stage) for _ in range(calls)][left_out:]
                    if turn > 0:
                        times[stage][key] += seconds
                if turn > 0:
                    between()
            print(f"  {stage}: {', '.join(f'{key} {min(t) * 1e3:.1f} ms' for key, t in times[stage].items())}")
    return times
