# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How quickly `medsam-engine serve` answers: python -m benchmarks.serve --bundle FOLDER."""
