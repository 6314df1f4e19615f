# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The report as a page."""

from collections.abc import Iterable, Sequence

from benchmarks.compare.harness.agreement import SAME
from benchmarks.compare.harness.bars import Bar
from benchmarks.compare.harness.results import Figure, Results

STAGE_TITLES = {
    "encode": "encode (1024x1024 pixels to embedding), ms",
    "prompt": "next prompt on the embedding, box to 1024x1024 mask, ms",
    "batch": "16 boxes, ms per prompt",
}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _cells(figure: Figure | None, baseline: Figure | None, unit: float) -> list[str]:
    if figure is None:
        return ["not run", "", "", ""]
    mark = " (extrapolated)" if figure.extrapolated else ""
    ratio = f"{baseline.median / figure.median:.2f}x" if baseline else ""
    return [f"{figure.median * unit:.4g}{mark}", f"{figure.p95 * unit:.4g}", str(figure.count), ratio]


def _processes(r: Results) -> str:
    text = ""
    for case in r.cases.values():
        if case.part_of:
            continue
        rows = []
        for key, title in r.titles.items():
            peak = r.peak_mb(case.key, key)
            cells = _cells(r.process(case.key, key), r.process(case.key, "d"), 1.0)
            rows.append([title, *cells, f"{peak:.0f}" if peak else ""])
        heads = ("system", "median, s", "p95, s", "runs", "speed against (d)", "peak RSS, MB")
        text += f"### {case.title}\n\n{case.objects} objects, {case.steps} decodes.\n\n{table(heads, rows)}\n"
    return text


def _stages(r: Results) -> str:
    text = ""
    for stage in r.stages:
        rows = [[title, *_cells(r.stage(stage, key), r.stage(stage, "d"), 1e3)] for key, title in r.titles.items()]
        heads = ("system", "median", "p95", "calls", "speed against (d)")
        text += f"### {STAGE_TITLES[stage]}\n\n{table(heads, rows)}\n"
    bounds = ", ".join(f"{precision} {ms:.1f} ms" for precision, ms in sorted(r.bounds_ms.items()))
    return text + (
        f"The matrix products of our encoder, at this processor's rate, alone: {bounds}.\n\n" if bounds else ""
    )


def _agreement(r: Results) -> str:
    rows = [
        [case, pair, str(a.objects), f"{a.mean:.5f}", f"{a.worst:.5f}", "same" if a.same else "differ"]
        for case, pairs in r.agreement.items()
        for pair, a in pairs.items()
    ]
    return table(("case", "masks of", "objects", "mean DSC", "worst DSC", f"every object >= {SAME}"), rows)


def _facts(facts: dict[str, str]) -> str:
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def page(r: Results, bars: list[Bar], notes: Sequence[str]) -> str:
    """The whole report."""
    extrapolated = [
        f"- (a) on the {case.title} is extrapolated along decodes from its measured runs of one decode and of "
        f"{part.steps} (the {part.title}) to {case.steps}.\n"
        for part in r.cases.values()
        for case in r.cases.values()
        if part.part_of == case.key and (figure := r.process(case.key, "a")) is not None and figure.extrapolated
    ]
    must = table(("what", "at least", "measured", ""), [[b.what, b.required, b.measured, b.verdict] for b in bars])
    return (
        f"# {r.name}\n\n"
        "Same weights, same run, systems taking turns; medians. Protocol: benchmarks/README.md; all: results.json.\n\n"
        f"![times](plot.png)\n\n## The machine\n\n{_facts(r.machine)}\n"
        f"## The run\n\n{_facts(r.settings)}{_facts(r.models)}"
        + "".join(f"- {note}\n" for note in notes)
        + "".join(extrapolated)
        + f"\n## Targets\n\n{must}\n## Whole processes\n\n{_processes(r)}## Stages, in process\n\n{_stages(r)}"
        f"## Agreement of the masks\n\n{_agreement(r)}"
    )
