# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The commands that measure: bench, eval and tune, with their plots."""
