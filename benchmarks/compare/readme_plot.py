# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""README's speed plot, from a report's results.json: python -m benchmarks.compare.readme_plot REPORT docs/speed.svg."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMES = {
    "ours": "medsam-engine, bf16 (certified)",
    "ours-f32": "medsam-engine, f32",
    "f": "OpenVINO in Python, bf16 and tuned",
    "f-f32": "OpenVINO in Python, f32 and tuned",
    "d": "OpenVINO in C++",
    "c": "OpenVINO in Python",
    "e": "ONNX Runtime in Python, optimized",
    "b": "ONNX Runtime in Python",
    "a": "PyTorch, published script",
}
OURS, OTHERS = "#00796b", "#b0bec5"


class Panel(NamedTuple):
    """One row of bars: seconds (or ms) of the systems that were measured."""

    title: str
    unit: str
    values: dict[str, float]


def panels(results: dict[str, Any]) -> list[Panel]:
    """Medians of what a user waits for: whole commands, and the next box on an image that is encoded."""

    def whole(case: str) -> dict[str, float]:
        return {
            system: float(np.median([run["wall_s"] for run in runs]))
            for system, runs in results["processes"][case].items()
        }

    prompts = {system: 1e3 * float(np.median(seconds)) for system, seconds in results["stages"]["prompt"].items()}
    return [
        Panel("One image, one box\n(whole command)", "s", whole("one")),
        Panel("One image, 89 boxes\n(whole command)", "s", whole("cells")),
        Panel("Next box on\nan encoded image", "ms", prompts),
    ]


def draw(results: dict[str, Any], path: Path) -> None:
    """Writes the plot; the format follows from the name."""
    # Not pyplot: it would look for a display and keep state between calls.
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "medsam-engine"  # the same file for the same numbers
    sheet = Figure(figsize=(10, 2.9), layout="constrained", facecolor="white")
    FigureCanvasAgg(sheet)
    drawn = panels(results)
    systems = [system for system in NAMES if any(system in panel.values for panel in drawn)]
    for number, (panel, axes) in enumerate(zip(drawn, sheet.subplots(1, len(drawn)), strict=True)):
        for row, system in enumerate(systems):
            value = panel.values.get(system)
            if value is None:
                axes.text(0, row, "  not run", va="center", fontsize=9, color="#78909c")
                continue
            axes.barh(row, value, color=OURS if system.startswith("ours") else OTHERS, height=0.72)
            digits = 0 if value >= 10 else 1 if value >= 2 else 2
            axes.text(value, row, f"  {value:.{digits}f} {panel.unit}", va="center", fontsize=9, color="#263238")
        axes.set_yticks(range(len(systems)), [NAMES[system] for system in systems] if number == 0 else [], fontsize=9)
        axes.tick_params(length=0)
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.28 * max(panel.values.values()))
        axes.set_title(panel.title, fontsize=10, loc="left")
    machine = results["machine"]
    sheet.supxlabel(
        f"LiteMedSAM on {machine['processor'].split(' (')[0]}, {machine['cores'].split()[0]} cores; medians, "
        "shorter is better",
        fontsize=8,
        color="#546e7a",
    )
    sheet.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="folder of a report, or its results.json")
    parser.add_argument("output", type=Path, help="a name ending in .svg or .png")
    args = parser.parse_args()
    source = args.report / "results.json" if args.report.is_dir() else args.report
    draw(json.loads(source.read_text(encoding="utf-8")), args.output)


if __name__ == "__main__":
    main()
