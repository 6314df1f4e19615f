# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Exports published checkpoints to bundles. The only part of medsam-engine that needs torch (extra `export`)."""
