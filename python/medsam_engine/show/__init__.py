# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Pictures for checks by eye: `overlay` draws labels over an image, `preview` a contact sheet of a volume.

Imports the prompts and medsam_engine.io; imported by the commands. Needs NumPy only.
"""
