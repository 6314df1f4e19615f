# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The results of `eval --interactive` over cases: means by modality and over all, and times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from medsam_engine.measure.interaction import CaseResult, Curve, mean_curve


@dataclass(frozen=True)
class GroupCurve:
    """The mean curve of a modality or of all; of its cases, or of its objects."""

    name: str
    cases: int
    objects: int
    curve: Curve


@dataclass(frozen=True)
class Times:
    """Seconds of one kind of interaction; NaN where there was none."""

    calls: int
    median: float
    p95: float


@dataclass(frozen=True)
class InteractiveEvaluation:
    """The cases, sorted by name, and those that could not be scored: (case, reason)."""

    cases: tuple[CaseResult, ...]
    problems: tuple[tuple[str, str], ...] = field(default_factory=tuple)

    def by_modality(self) -> list[GroupCurve]:
        """One row per modality that occurs, sorted by name: the mean of its cases."""
        names = sorted({case.modality for case in self.cases})
        return [_group(name, [case for case in self.cases if case.modality == name]) for name in names]

    def mean(self) -> GroupCurve | None:
        """The mean of all cases; None without any."""
        return _group("mean", self.cases) if self.cases else None

    def mean_of_objects(self) -> GroupCurve | None:
        """The mean of all objects, which weighs a case by its number of objects; None without any."""
        objects = [found for case in self.cases for found in case.objects]
        if not objects:
            return None
        curve = mean_curve([found.curve for found in objects])
        return GroupCurve("mean of objects", len(self.cases), len(objects), curve)

    def start_times(self) -> Times:
        """Of the first interaction with an object, which encodes what it needs."""
        return _times([found.seconds[0] for case in self.cases for found in case.objects])

    def correction_times(self) -> Times:
        """Of the later ones."""
        return _times([spent for case in self.cases for found in case.objects for spent in found.seconds[1:]])


def _group(name: str, cases: Sequence[CaseResult]) -> GroupCurve:
    objects = sum(len(case.objects) for case in cases)
    return GroupCurve(name, len(cases), objects, mean_curve([case.curve for case in cases]))


def _times(seconds: Sequence[float]) -> Times:
    if not seconds:
        return Times(0, math.nan, math.nan)
    return Times(len(seconds), float(np.median(seconds)), float(np.percentile(seconds, 95)))
