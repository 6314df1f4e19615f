# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NRRD and MetaImage, which SimpleITK reads: the headers are read here first, so that a hostile one never reaches it.

Imported by `medsam_engine.io.files` and `box_files`; imports the modules of medsam_engine.io that name no format.
"""
