# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The results of `medsam-engine eval --interactive` as tables, as CSV and for --json."""

import csv
import io
from dataclasses import asdict
from typing import Any

from rich.table import Table

from medsam_engine.base.printable import csv_cell
from medsam_engine.cli.terminal import plain
from medsam_engine.measure.interaction import Curve
from medsam_engine.measure.interaction_means import GroupCurve, InteractiveEvaluation


def tables(evaluation: InteractiveEvaluation, interactions: int) -> list[Table]:
    """One row per case; the means by modality, over the cases and over the objects; by interaction; the times."""
    scores = ("objects", "DSC 0", f"DSC {interactions}", f"NSD {interactions}", "DSC-AUC", "NSD-AUC")
    cases = Table("case", "modality", *scores, title="Cases", title_justify="left")
    for case in evaluation.cases:
        cells = (plain(case.case), plain(case.modality or "-"), f"{len(case.objects)}")
        cases.add_row(*cells, *_cells(case.curve))
    means = Table("modality", "cases", *scores, title="Means of cases", title_justify="left")
    for group in evaluation.by_modality():
        means.add_row(plain(group.name or "-"), f"{group.cases}", f"{group.objects}", *_cells(group.curve))
    means.add_section()
    for name, total in (("all", evaluation.mean()), ("objects", evaluation.mean_of_objects())):
        if total is not None:
            means.add_row(name, f"{total.cases}", f"{total.objects}", *_cells(total.curve))
    return [cases, means, *_by_interaction(evaluation), _time_table(evaluation)]


def _cells(curve: Curve) -> list[str]:
    numbers = (curve.dsc[0], curve.dsc[-1], curve.nsd[-1], curve.dsc_auc, curve.nsd_auc)
    return [f"{value:.4f}" for value in numbers]


def _by_interaction(evaluation: InteractiveEvaluation) -> list[Table]:
    cases, objects = evaluation.mean(), evaluation.mean_of_objects()
    if cases is None or objects is None:
        return []
    columns = ("corrections", "DSC of cases", "NSD of cases", "DSC of objects", "NSD of objects")
    table = Table(*columns, title="Means by interaction", title_justify="left")
    curves = (cases.curve.dsc, cases.curve.nsd, objects.curve.dsc, objects.curve.nsd)
    for k, row in enumerate(zip(*curves, strict=True)):
        table.add_row(f"{k}", *(f"{score:.4f}" for score in row))
    return [table]


def _time_table(evaluation: InteractiveEvaluation) -> Table:
    table = Table("interaction", "calls", "median, ms", "p95, ms", title="Times", title_justify="left")
    for name, taken in (("start", evaluation.start_times()), ("correction", evaluation.correction_times())):
        if taken.calls:
            table.add_row(name, f"{taken.calls}", f"{1e3 * taken.median:.1f}", f"{1e3 * taken.p95:.1f}")
    return table


def csv_text(evaluation: InteractiveEvaluation) -> str:
    """One row per object and interaction; `seconds` is empty for corrections that were not needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "label", "interaction", "dsc", "nsd", "seconds"])
    for case in evaluation.cases:
        for found in case.objects:
            for k, (dsc, nsd) in enumerate(zip(found.curve.dsc, found.curve.nsd, strict=True)):
                spent = f"{found.seconds[k]:.4f}" if k < len(found.seconds) else ""
                writer.writerow([csv_cell(case.case), found.label, k, f"{dsc:.4f}", f"{nsd:.4f}", spent])
    return text.getvalue()


def content(evaluation: InteractiveEvaluation) -> dict[str, Any]:
    """The scores and times for --json."""
    cases = [
        {
            "case": case.case,
            "modality": case.modality or None,
            **_curve(case.curve),
            "objects": [
                {"label": found.label, "voxels": found.voxels, **_curve(found.curve), "seconds": found.seconds}
                for found in case.objects
            ],
        }
        for case in evaluation.cases
    ]
    return {
        "cases": cases,
        "by_modality": [_group(group) for group in evaluation.by_modality()],
        "mean": _group(evaluation.mean()),
        "mean_of_objects": _group(evaluation.mean_of_objects()),
        "seconds": {
            "start": asdict(evaluation.start_times()),
            "correction": asdict(evaluation.correction_times()),
        },
        "not_scored": [{"case": case, "reason": reason} for case, reason in evaluation.problems],
    }


def _group(group: GroupCurve | None) -> dict[str, Any] | None:
    if group is None:
        return None
    return {"name": group.name, "cases": group.cases, "objects": group.objects, **_curve(group.curve)}


def _curve(curve: Curve) -> dict[str, Any]:
    areas = {"dsc_auc": curve.dsc_auc, "nsd_auc": curve.nsd_auc}
    return {**asdict(curve), **areas, "dsc_final": curve.dsc[-1], "nsd_final": curve.nsd[-1]}
