# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A case with longest diameters (RECIST), which a session answers: the engine itself knows boxes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine, Session
from medsam_engine.io.labeled_boxes import LabeledBoxes
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.show.found_objects import FoundObjects


def objects_by_session(
    engine: Engine,
    pixels: NDArray[np.generic],
    source: MedicalImage,
    prompts: LabeledBoxes,
    modality: str | None,
    progress: Callable[[int, int], object],
) -> FoundObjects:
    """The objects of lines, of which those of a volume are propagated, and of the boxes beside them.

    Args:
        engine: the model.
        pixels: uint8 (H, W), (H, W, 3) or (D, H, W), after the window.
        source: the image, for its spacing.
        prompts: lines, and boxes if there are any.
        modality: for models that distinguish them.
        progress: called with objects done and in all, also while one is propagated.

    Returns:
        The label map; there is no estimate of the IoU, since an answer is made from several of the model's.

    Raises:
        Error: the errors of Session.
    """
    spacing = None
    if source.spaced:
        spacing = source.spacing if source.is_volume else source.spacing[:2]
    session = Session(engine, pixels, spacing, window="none", modality=modality, undo_bytes=0, encode_ahead=False)
    count = len(prompts.boxes)

    for k, box in enumerate(prompts.boxes):
        name = str(k)

        def within(_done: int, _total: int, done: int = k) -> None:
            progress(done, count)

        line = prompts.lines.get(k)
        if line is None:
            session.add_box(name, box, progress=within if source.is_volume else None)
        elif not source.is_volume:
            session.add_line(name, line)
        else:
            session.add_line(name, line, int(box[2]))
            if session.objects[k].voxels:
                session.propagate(name, progress=within)
        progress(k + 1, count)
    return FoundObjects(prompts.relabeled(session.labels()), np.full(count, np.nan))
