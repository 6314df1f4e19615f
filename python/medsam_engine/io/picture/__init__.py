# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""PNG, JPEG and TIFF.

Imported by `medsam_engine.io.files`; imports the modules of medsam_engine.io that name no format.
"""
