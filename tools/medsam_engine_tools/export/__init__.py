# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a checkpoint to a bundle. Needs torch.

- the source: fetch, checkpoint, recognition, experts, clip_folder
- the networks: family and sam, with families (one file each) and nn (their layers)
- the bundle: onnx_export, parity, fused; export does all of it

Imports bundle; imported by approximate.
"""
