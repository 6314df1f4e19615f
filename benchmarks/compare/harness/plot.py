# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The report's plot: every case and stage, every system, a panel each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.compare.harness.results import Figure, Results

_COLORS = {
    "ours": "#08519c",
    "ours-f32": "#6baed6",
    "f": "#00441b",
    "f-f32": "#1b7837",
    "d": "#31a354",
    "c": "#a1d99b",
    "e": "#e6550d",
    "b": "#fdae6b",
    "a": "#bdbdbd",
}


def _panels(r: Results) -> list[tuple[str, str, dict[str, Figure]]]:
    wanted: list[tuple[str, str, str, Callable[[str, str], Figure | None], float]]
    wanted = [(case.title, "s", case.key, r.process, 1.0) for case in r.cases.values() if not case.part_of]
    wanted += [(stage, "ms" + (" per prompt" if stage == "batch" else ""), stage, r.stage, 1e3) for stage in r.stages]
    panels = []
    for title, unit, key, figure_of, scale in wanted:
        figures = {}
        for system in r.titles:
            figure = figure_of(key, system)
            if figure:
                figures[system] = Figure(figure.median * scale, figure.p95 * scale, figure.count, figure.extrapolated)
        if figures:
            panels.append((title, unit, figures))
    return panels


def _draw(axes: Any, title: str, unit: str, figures: dict[str, Figure]) -> None:
    for row, (system, figure) in enumerate(figures.items()):
        axes.barh(row, figure.median, color=_COLORS[system], hatch="//" if figure.extrapolated else None)
        axes.plot([figure.median, figure.p95], [row, row], color="black", linewidth=1)
        axes.text(figure.p95, row, f" {figure.median:.3g}", va="center", fontsize=8)
    axes.set_yticks(range(len(figures)), list(figures), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(figure.p95 for figure in figures.values()))
    axes.set_title(f"{title}, {unit}", fontsize=9)


def write_plot(r: Results, path: Path) -> None:
    """A PNG: bars are medians, lines reach to the 95th percentile, hatched is extrapolated."""
    # Not pyplot: it would look for a display and keep state between calls.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    panels = _panels(r)
    columns = min(3, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    sheet = Sheet(figsize=(4.2 * columns, 0.8 + 2.4 * max(1, rows)), layout="constrained")
    FigureCanvasAgg(sheet)
    for index, (title, unit, figures) in enumerate(panels):
        _draw(sheet.add_subplot(rows, columns, index + 1), title, unit, figures)
    sheet.suptitle("; ".join(f"{key}: {title}" for key, title in r.titles.items()), fontsize=8)
    sheet.savefig(path, dpi=110)
