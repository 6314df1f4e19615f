# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Plans for GPUs, built before they are needed. Needs TensorRT for RTX, no GPU and no torch.

Imports bundle.
"""
