# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The prompts of `medsam-engine segment` through the engine, step by step: a label map of an image or of a volume."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from medsam_engine import Engine
from medsam_engine.cli.steps import Steps
from medsam_engine.io.labeled_boxes import LabeledBoxes
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.session_points import answers_natively, clicked_mask, session_of_image
from medsam_engine.show.found_objects import FoundObjects, relabeled


@dataclass(frozen=True)
class Prompts:
    """What was asked for of one image.

    Attributes:
        boxes: with their labels and names; none, or at most one beside points.
        points: x, y of each, and its label, 1 in the object or 0 outside; all are one object.
        allow_untrained: the model itself answers points that its weights do not know, as Engine.predict.
        planes: of a volume, as Engine.segment_volume.
    """

    boxes: LabeledBoxes
    points: tuple[list[list[float]], list[int]]
    allow_untrained: bool
    planes: str = "slices"


def find_objects(
    engine: Engine,
    pixels: NDArray[np.generic],
    source: MedicalImage,
    asked: Prompts,
    console: Console,
    steps: Steps,
) -> FoundObjects:
    """The objects of an image, (H, W), or of a volume, (D, H, W); of points in a volume of one slice, too.

    Raises:
        Unsupported: the weights do not know boxes; before the image is encoded.
        InvalidArgument: points that the weights do not know, of which none is on the object, and no box.
    """
    spacing = source.spacing[:2] if source.spaced else None
    if source.is_volume and asked.points[0]:  # of one slice, which is an image
        flat = replace(asked.boxes, boxes=asked.boxes.boxes[:, [0, 1, 3, 4]])
        found = _label_image(engine, pixels[0], replace(asked, boxes=flat), spacing, steps)
        return FoundObjects(found.labels[np.newaxis], found.iou)
    if source.is_volume:
        return _label_volume(engine, pixels, asked, source, console, steps)
    return _label_image(engine, pixels, asked, spacing, steps)


def _label_image(
    engine: Engine, pixels: NDArray[np.generic], asked: Prompts, spacing: Sequence[float] | None, steps: Steps
) -> FoundObjects:
    prompts, points = asked.boxes, asked.points
    given = {"box": len(prompts.boxes) > 0, "points": len(points[0]) > 0}
    kinds = [kind for kind, is_given in given.items() if is_given]
    if points[0] and not asked.allow_untrained and not answers_natively(engine, kinds):
        return _clicked_image(engine, pixels, asked, spacing, steps)
    engine.check_prompt(kinds, allow_untrained=asked.allow_untrained)
    with steps.step("encode image"):
        embedding = engine.encode(pixels)
    with steps.step("decode prompts"):
        if not points[0]:
            return relabeled(engine.segment_objects(embedding, prompts.boxes), prompts)
        prediction = engine.predict(
            embedding,
            box=prompts.boxes[0] if len(prompts.boxes) else None,
            point_coords=points[0],
            point_labels=points[1],
            allow_untrained=asked.allow_untrained,
        )
        iou = prediction.iou_predictions[0].astype(np.float64)
        return FoundObjects(prediction.mask(0).astype(np.uint8), iou)


def _clicked_image(
    engine: Engine, pixels: NDArray[np.generic], asked: Prompts, spacing: Sequence[float] | None, steps: Steps
) -> FoundObjects:
    """Points that the weights do not know. The model answers other prompts, so it has no estimate of the IoU."""
    known = ", ".join(" + ".join(kinds) for kinds in engine.info.trained_prompts)
    box = asked.boxes.boxes[0] if len(asked.boxes.boxes) else None
    how = (
        "the first point on the object is answered by a search over boxes, and the others correct its mask near them"
        if box is None
        else "the points correct the mask of the box near them"
    )
    steps.note(
        f"note: {how}, because the weights of {engine.info.family} were not trained with such points (trained: {known})"
    )
    with steps.step("answer points"):
        session = session_of_image(engine, pixels, spacing)
        mask = clicked_mask(session, box, np.asarray(asked.points[0]), np.asarray(asked.points[1]))
    return FoundObjects(mask.astype(np.uint8), np.full(1, np.nan))


def _label_volume(
    engine: Engine,
    pixels: NDArray[np.generic],
    asked: Prompts,
    source: MedicalImage,
    console: Console,
    steps: Steps,
) -> FoundObjects:
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with steps.timed("segment volume"), bar:
        task = bar.add_task("segment volume", total=None)
        found = engine.segment_volume_objects(
            pixels,
            asked.boxes.boxes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            planes=asked.planes,
            spacing=source.spacing if source.spaced else None,
        )
    return relabeled(found, asked.boxes)
