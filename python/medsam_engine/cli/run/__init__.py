# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The command `run`: over a folder of NPZ files, and over a table of cases (the room `cases`)."""
