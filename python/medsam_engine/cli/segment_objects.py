# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The prompts of `medsam-engine segment` through the engine, step by step: a label map of an image or of a volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from medsam_engine import Engine, Segmentation
from medsam_engine.cli.segment_prompts import LabelledBoxes
from medsam_engine.cli.steps import Steps


@dataclass(frozen=True)
class FoundObjects:
    """What the model found: label map (H, W) or (D, H, W), and its own estimate of each object's IoU (N,)."""

    labels: NDArray[np.generic]
    iou: NDArray[np.float64]


def label_image(
    engine: Engine,
    pixels: NDArray[np.generic],
    prompts: LabelledBoxes,
    points: tuple[list[list[float]], list[int]],
    steps: Steps,
    *,
    allow_untrained: bool,
) -> FoundObjects:
    """The label map (H, W) of an image's boxes, or of its points with at most one box, which are one object.

    allow_untrained: as Engine.predict, for points. Raises Unsupported before the image is encoded.
    """
    kinds = {"box": len(prompts.boxes) > 0, "points": len(points[0]) > 0}
    engine.check_prompt([kind for kind, given in kinds.items() if given], allow_untrained=allow_untrained)
    with steps.step("encode image"):
        embedding = engine.encode(pixels)
    with steps.step("decode prompts"):
        if not points[0]:
            return _relabelled(engine.segment_objects(embedding, prompts.boxes), prompts)
        prediction = engine.predict(
            embedding,
            box=prompts.boxes[0] if len(prompts.boxes) else None,
            point_coords=points[0],
            point_labels=points[1],
            allow_untrained=allow_untrained,
        )
        iou = prediction.iou_predictions[0].astype(np.float64)
        return FoundObjects(prediction.mask(0).astype(np.uint8), iou)


def label_volume(
    engine: Engine, pixels: NDArray[np.generic], prompts: LabelledBoxes, console: Console, steps: Steps
) -> FoundObjects:
    """The label map (D, H, W) of a volume's boxes, with a progress bar where there is a terminal."""
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with steps.timed("segment volume"), bar:
        task = bar.add_task("segment volume", total=None)
        found = engine.segment_volume_objects(
            pixels,
            prompts.boxes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    return _relabelled(found, prompts)


def _relabelled(found: Segmentation, prompts: LabelledBoxes) -> FoundObjects:
    return FoundObjects(prompts.relabelled(found.labels), np.array([o.iou for o in found.objects], np.float64))
