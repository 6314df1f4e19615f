# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The small volume of the session's tests: its shape, and boxes inside it."""

DEPTH, HEIGHT, WIDTH = 5, 24, 32
BOX = (4, 3, 20, 15)
BOX_3D = (4, 3, 1, 20, 15, 3)
