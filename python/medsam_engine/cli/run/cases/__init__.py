# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` over a table of cases: medical files and images with the boxes of their objects."""
