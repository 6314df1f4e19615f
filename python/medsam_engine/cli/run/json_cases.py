# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How the cases of `medsam-engine run` ended, for --json; docs/json.md has the fields."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from medsam_engine.cli.run.screen import EndedCase
from medsam_engine.cohort.case_result import CaseResult, Measured


def ended_content(ended: Sequence[EndedCase]) -> dict[str, Any]:
    """Each case in the order in which they ended, and how many of them are done, skipped and failed."""
    counts = Counter(_status(case) for case in ended)
    return {
        "cases": [_case(case) for case in ended],
        **{status: counts[status] for status in ("done", "skipped", "failed")},
    }


def _status(case: EndedCase) -> str:
    return "failed" if case.status == "refused" else case.status


def _case(case: EndedCase) -> dict[str, Any]:
    content: dict[str, Any] = {
        "case": case.name,
        "status": _status(case),
        "message": case.message or None,
        "boxes": case.objects,
        "empty": case.empty_objects,
        "seconds": {"read": case.read_s, "segment": case.segment_s, "write": case.write_s},
    }
    if isinstance(case, CaseResult):  # of a table
        content["quarantined"] = case.quarantined
        content["output"] = case.answer
        content["objects"] = [_object(measured) for measured in case.measured]
    return content


def _object(measured: Measured) -> dict[str, Any]:
    return {
        "label": measured.label,
        "name": measured.name or None,
        "voxels": measured.voxels,
        "volume_mm3": None if measured.ml is None else measured.ml * 1000,
        "iou_estimate": measured.iou,
    }
