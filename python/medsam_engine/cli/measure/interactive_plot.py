# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The plot of `medsam-engine eval --interactive`: DSC and NSD by the number of correcting clicks."""

import io

from medsam_engine.io.extras import require
from medsam_engine.measure.interaction_means import InteractiveEvaluation


def plot_png(evaluation: InteractiveEvaluation, title: str) -> bytes:
    """A PNG: for each metric, the mean curve of every modality, and that of all cases in black."""
    require("matplotlib", "--plot")
    # Not pyplot: it would look for a display and keep state between calls.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    groups, mean = evaluation.by_modality(), evaluation.mean()
    for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("dsc", "nsd"), strict=True):
        for group in groups:
            scores = getattr(group.curve, metric)
            axes.plot(range(len(scores)), scores, "o-", markersize=3, label=f"{group.name or '-'} ({group.cases})")
        if mean is not None:
            scores = getattr(mean.curve, metric)
            axes.plot(range(len(scores)), scores, "o-", color="black", linewidth=2.5, label=f"all ({mean.cases})")
            axes.set_xticks(range(len(scores)))
        axes.set_ylim(0.0, 1.0)
        axes.grid(alpha=0.3)
        axes.set_xlabel("correcting clicks")
        axes.set_ylabel(f"{metric.upper()} (mean of cases)")
    if mean is not None:
        axes.legend(fontsize=7, loc="lower right")
    figure.suptitle(title, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
