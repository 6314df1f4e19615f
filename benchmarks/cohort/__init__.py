# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs over many cases: what is left after kills (`trial`), and what they cost (`throughput`)."""
