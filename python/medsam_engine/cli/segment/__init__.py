# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The command `segment`, and what `view` and `run` do as it does: prompts, names, objects, reports and pictures."""
