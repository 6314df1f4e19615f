# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine segment` says of each object when it has written the label map."""

import numpy as np
from numpy.typing import NDArray

from medsam_engine.cli.steps import Steps


def report_objects(steps: Steps, labels: NDArray[np.generic], numbers: NDArray[np.int64], written: str) -> None:
    """One line for each object, at most 20, with a warning where nothing was found, and what was written."""
    # Labels of a label map are any numbers up to 2**32: counted by place in the sorted list, not by value.
    order = np.argsort(numbers)
    counts = np.zeros(len(numbers), np.int64)
    for part in labels if labels.ndim == 3 else [labels]:  # slice by slice: a volume's labels are large
        place = np.searchsorted(numbers, part[part != 0], sorter=order)
        counts += np.bincount(place, minlength=len(numbers))[: len(numbers)]
    areas = np.zeros(len(numbers), np.int64)
    areas[order] = counts
    unit = "voxels" if labels.ndim == 3 else "pixels"
    for number, area in list(zip(numbers, areas, strict=True))[:20]:
        warning = "   nothing found" if area == 0 else ""
        steps.note(f"label {number:<5} {area:>10} {unit}{warning}")
    if len(numbers) > 20:
        steps.note(f"... {len(numbers)} labels in all, {int((areas == 0).sum())} of them empty")
    steps.note(f"wrote {written}")
