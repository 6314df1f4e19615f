# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Notes of `medsam-engine segment` on the PNG that it writes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine.cli.steps import Steps
from medsam_engine.io.formats import Format, output_format


def note_black_png(steps: Steps, output: Path, labels: NDArray[np.generic]) -> None:
    """A line for a PNG whose values, label numbers, look black in a viewer."""
    if output_format(output) is Format.IMAGE and int(labels.max(initial=0)):
        steps.note(f"note: the values of {output} are label numbers, which viewers show as black; see --preview")
