# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The weights of the engine's own kernels, made by NumPy from a checkpoint's arrays. Needs no torch.

- source: the arrays, each taken with the shape that the architecture gives it; fold: layers as the kernels want them
- tiny_vit, efficient_vit, sam_decoder: the architectures, one file each; a family names those that it consists of
  (family.py)
- sam: the networks of a family that has SAM's decoder
- weights_file: the file; model: a family's networks together, their layout and their files

cpp/src/backends/native reads what these write (docs/bundle.md).
"""
