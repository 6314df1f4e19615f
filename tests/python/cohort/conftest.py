# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the tests of the room `cohort` share."""

from case_fixtures import scans, tiny_bundle  # noqa: F401  # fixtures
