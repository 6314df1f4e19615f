# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The weights of the engine's own kernels, written by NumPy from a checkpoint's arrays. Needs no torch.

Imports nothing of export but checkpoint names; cpp/src/backends/native reads what it writes (docs/bundle.md).
"""
