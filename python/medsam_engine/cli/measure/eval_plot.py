# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The plot of `medsam-engine eval`: DSC by modality, time by case."""

import io
import math
from typing import Any

from medsam_engine.io.extras import require
from medsam_engine.measure.metrics import Evaluation


def plot_png(evaluation: Evaluation, seconds: dict[str, float]) -> bytes:
    """A PNG: each case's DSC as a dot over its modality's mean; below, where `seconds` are given, each case's time."""
    require("matplotlib", "--plot")
    # Not pyplot: it would look for a display and keep state between calls.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = [(score.case, seconds[score.case]) for score in evaluation.cases if score.case in seconds]
    figure = Figure(figsize=(8.0, 3.6 + (0.6 + 0.22 * len(timed) if timed else 0.0)), layout="constrained")
    FigureCanvasAgg(figure)
    if timed:
        upper, lower = figure.subplots(2, 1, height_ratios=[3.6, 0.6 + 0.22 * len(timed)])
        _plot_times(lower, timed)
    else:
        upper = figure.subplots()
    _plot_scores(upper, evaluation)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _plot_scores(axes: Any, evaluation: Evaluation) -> None:
    groups = evaluation.by_modality()
    axes.bar(range(len(groups)), [0.0 if math.isnan(g.dsc) else g.dsc for g in groups], color="#9ecae1", width=0.7)
    for k, group in enumerate(groups):
        scores = [s.dsc for s in evaluation.cases if s.modality == group.name and not math.isnan(s.dsc)]
        spread = [k + 0.3 * ((n + 0.5) / len(scores) - 0.5) for n in range(len(scores))]
        axes.plot(spread, scores, "o", color="#08519c", markersize=4)
    axes.set_xticks(range(len(groups)), [g.name or "-" for g in groups], rotation=30, ha="right")
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("DSC (bar: mean of cases)")
    mean = evaluation.mean()
    axes.set_title(f"{mean.cases} cases, mean DSC {mean.dsc:.4f}, NSD {mean.nsd:.4f}")


def _plot_times(axes: Any, timed: list[tuple[str, float]]) -> None:
    axes.barh(range(len(timed)), [value for _, value in timed], color="#a1d99b")
    axes.set_yticks(range(len(timed)), [case for case, _ in timed], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
