# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine segment` reports about each object after writing the label map: as lines, and for --json."""

from collections.abc import Sequence
from typing import Any

from medsam_engine.cli.steps import Steps
from medsam_engine.io.labeled_boxes import BoxOptions, LabeledBoxes
from medsam_engine.show.found_objects import ReportedObject

_MOST_LINES = 20


def report_objects(steps: Steps, objects: Sequence[ReportedObject], written: str) -> None:
    """One line for each object, at most 20, with a warning where nothing was found, and what was written."""
    for found in objects[:_MOST_LINES]:
        steps.say(found.line())
    if len(objects) > _MOST_LINES:
        empty = sum(found.count == 0 for found in objects)
        steps.say(f"... {len(objects)} labels in total, {empty} of them empty")
    steps.say(f"wrote {written}")


def objects_content(
    objects: Sequence[ReportedObject],
    prompts: LabeledBoxes,
    options: BoxOptions,
    points: tuple[list[list[float]], list[int]],
) -> list[dict[str, Any]]:
    """Each object for --json, with the prompt that it answers."""
    content = []
    for k, found in enumerate(objects):
        box = [int(v) if v.is_integer() else v for v in prompts.boxes[k].tolist()] if len(prompts.boxes) else None
        asked: dict[str, Any] = {"box": box}
        if options.box_mm:
            asked["box_mm"] = options.box_mm[k]
        if points[0]:
            asked["points"] = [[*xy, label] for xy, label in zip(*points, strict=True)]
        content.append({**found.content(), **asked})
    return content
