# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The earlier place of medsam_engine.show.overlay, kept for one release."""

from medsam_engine.show.overlay import colours_of, displayed, draw_overlay, draw_points, label_colours, outlines

__all__ = ["colours_of", "displayed", "draw_overlay", "draw_points", "label_colours", "outlines"]
