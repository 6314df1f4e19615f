# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The prompts of `medsam-engine segment` through the engine, step by step: a label map of an image or of a volume."""

import time

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from medsam_engine import Engine
from medsam_engine.cli.segment_prompts import LabelledBoxes
from medsam_engine.cli.steps import Steps


def label_image(
    engine: Engine,
    pixels: NDArray[np.generic],
    prompts: LabelledBoxes,
    points: tuple[list[list[float]], list[int]],
    steps: Steps,
    *,
    allow_untrained: bool,
) -> NDArray[np.generic]:
    """The label map (H, W) of an image's boxes, or of its points with at most one box, which are one object.

    allow_untrained: as Engine.predict, for points. Raises Unsupported before the image is encoded.
    """
    kinds = {"box": len(prompts.boxes) > 0, "points": len(points[0]) > 0}
    engine.check_prompt([kind for kind, given in kinds.items() if given], allow_untrained=allow_untrained)
    with steps.step("encode image"):
        embedding = engine.encode(pixels)
    with steps.step("decode prompts"):
        if not points[0]:
            return prompts.relabelled(engine.segment(embedding, prompts.boxes))
        prediction = engine.predict(
            embedding,
            box=prompts.boxes[0] if len(prompts.boxes) else None,
            point_coords=points[0],
            point_labels=points[1],
            allow_untrained=allow_untrained,
        )
        return prediction.mask(0).astype(np.uint8)


def label_volume(
    engine: Engine, pixels: NDArray[np.generic], prompts: LabelledBoxes, console: Console, steps: Steps
) -> NDArray[np.generic]:
    """The label map (D, H, W) of a volume's boxes, with a progress bar where there is a terminal."""
    started = time.perf_counter()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("segment volume", total=None)
        labels = engine.segment_volume(
            pixels,
            prompts.boxes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    steps.note(f"{'segment volume':<24} {(time.perf_counter() - started) * 1000:8.1f} ms")
    return prompts.relabelled(labels)
