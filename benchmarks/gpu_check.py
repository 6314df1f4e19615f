# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The GPU check under the name that reports and docs/gpu.md have: python -m benchmarks.gpu_check."""

import sys

from benchmarks.gpu.check import main

if __name__ == "__main__":
    sys.exit(main())
