# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Figures about an engine or its masks, for the commands and the tools.

- bench: times; machine: where they were measured
- tuning: which settings are the fastest on this machine
- metrics: DSC and NSD
- interaction: a session under a simulated user (simulated_user), and interaction_means: over cases

Imports the engine and medsam_engine.io.
"""
