# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The commands that make bundles or change them, with medsam_engine_tools: one file per command."""
