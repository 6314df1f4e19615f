# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The earlier place of medsam_engine.show.overlay and of the colors of labels, kept for one release."""

from medsam_engine.io.label_colors import colors_of, label_colors
from medsam_engine.show.overlay import displayed, draw_overlay, draw_points, outlines

__all__ = ["colors_of", "displayed", "draw_overlay", "draw_points", "label_colors", "outlines"]
