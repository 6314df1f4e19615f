# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The plot of `medsam-engine bench`: a bar a stage and precision, its bound as a mark."""

import io
from collections.abc import Sequence

from medsam_engine.io.extras import require
from medsam_engine.measure.bench import StageTime

_COLORS = {"f32": "#08519c", "bf16": "#6baed6", "f16": "#31a354", "int8": "#fdae6b"}


def plot_png(times: Sequence[StageTime], title: str) -> bytes:
    """A PNG: medians as bars on a logarithmic axis, a line to the 95th percentile, the matrix bound in red."""
    require("matplotlib", "--plot")
    # Not pyplot: it would look for a display and keep state between calls.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.2 + 0.32 * len(times)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row, time in enumerate(times):
        axes.barh(row, time.median_ms, color=_COLORS[time.precision])
        axes.plot([time.median_ms, time.p95_ms], [row, row], color="black", linewidth=1)
        if time.bound_ms is not None:
            axes.plot([time.bound_ms] * 2, [row - 0.4, row + 0.4], color="#cb181d", linewidth=2)
        axes.text(max(time.median_ms, time.p95_ms), row, f" {time.median_ms:.3g}", va="center", fontsize=8)
    axes.set_yticks(range(len(times)), [f"{time.stage}, {time.precision}" for time in times], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 1.6)
    axes.set_xlabel("milliseconds (red: the matrix products alone, at this processor's rate)")
    axes.set_title(title, fontsize=9)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
