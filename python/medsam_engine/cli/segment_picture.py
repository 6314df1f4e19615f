# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The picture of `medsam-engine segment --preview`: the label map over the pixels that the engine saw."""

import numpy as np
from numpy.typing import NDArray

from medsam_engine import io
from medsam_engine.overlay import draw_overlay
from medsam_engine.preview import chosen_slices, contact_sheet
from medsam_engine.windows import Windowed


def result_picture(shown: Windowed, labels: NDArray[np.generic], source: io.MedicalImage) -> NDArray[np.uint8]:
    """RGB uint8 (rows, columns, 3): an image with its objects, or a sheet of a volume's slices."""
    if source.is_volume:
        return contact_sheet(shown.slices(chosen_slices(labels)), labels, source.spacing)
    return draw_overlay(shown.slices(range(source.grid[0])), labels)
