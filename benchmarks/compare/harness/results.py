# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a comparison measured, as it goes into results.json, and the figures drawn from it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from benchmarks.compare.harness.agreement import Agreement
from benchmarks.compare.harness.cases import STAGE_BOXES, Case
from benchmarks.compare.harness.process import ProcessRun


def _file_name(value: object) -> str:
    """What goes into a report of a path: not where it lies on the machine that measured."""
    return value.name if isinstance(value, Path) else str(value)


@dataclass(frozen=True)
class Figure:
    """A duration in seconds."""

    median: float
    p95: float
    count: int
    extrapolated: bool = False


@dataclass
class Results:
    """Everything by case or stage, then by system."""

    name: str
    machine: dict[str, str]
    settings: dict[str, str]
    models: dict[str, str]
    titles: dict[str, str]
    """Of the systems."""
    cases: dict[str, Case]
    processes: dict[str, dict[str, list[ProcessRun]]] = field(default_factory=dict)
    stages: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    agreement: dict[str, dict[str, Agreement]] = field(default_factory=dict)
    """By case, then by "system against system"."""
    bounds_ms: dict[str, float] = field(default_factory=dict)
    """The GEMM bound of an encode by precision (roofline.py), where it was measured."""

    def process(self, case: str, system: str) -> Figure | None:
        """Wall time of a whole process; from a part of the case, marked so, where the case itself was not run."""
        runs = self.processes.get(case, {}).get(system)
        if runs:
            return _figure([run.wall_s for run in runs])
        part = next((c.key for c in self.cases.values() if c.part_of == case), None)
        return self._extrapolated(case, part, system) if part else None

    def _extrapolated(self, case: str, part: str, system: str) -> Figure | None:
        """A line through two measured processes, one decode and the part: start-up once, the rest grows by decodes.

        Only right for a system that encodes anew for every decode, as (a) does.
        """
        short, long = self.processes.get("one", {}).get(system), self.processes.get(part, {}).get(system)
        if not short or not long or system != "a":
            return None
        one, some = (_figure([run.wall_s for run in runs]) for runs in (short, long))
        scale = (self.cases[case].steps - 1) / (self.cases[part].steps - 1)

        def reach(first: float, second: float) -> float:
            return first + (second - first) * scale

        return Figure(reach(one.median, some.median), reach(one.p95, some.p95), some.count, extrapolated=True)

    def stage(self, stage: str, system: str) -> Figure | None:
        """Seconds of a stage; those of `batch` by prompt."""
        seconds = self.stages.get(stage, {}).get(system)
        if not seconds:
            return None
        share = STAGE_BOXES if stage == "batch" else 1
        return _figure([value / share for value in seconds])

    def peak_mb(self, case: str, system: str) -> float | None:
        """The largest peak of the runs."""
        runs = self.processes.get(case, {}).get(system)
        return max(run.peak_rss_mb for run in runs) if runs else None

    def write(self, path: Path) -> None:
        """All of it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, default=_file_name) + "\n", encoding="utf-8")


def _figure(seconds: list[float]) -> Figure:
    return Figure(float(np.median(seconds)), float(np.percentile(seconds, 95)), len(seconds))
