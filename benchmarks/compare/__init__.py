# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The comparison with the baselines: python -m benchmarks.compare. benchmarks/README.md has its protocol."""
