# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Architecture blocks of the published models: our own definitions over torch, with the published tensor names."""
