# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reads what torch.save writes as NumPy arrays, without torch and without running anything of the file.

- archive: the ZIP file and what it may hold; instructions: the pickle in it, of which few operations are carried out
- storages: the numbers, and tensors as views of them; reader: a whole checkpoint
"""
