# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI-1 and -2: `file` reads and writes, `header` is the table of its fields, `gzip_stream` reads .gz in parts.

Imported by `medsam_engine.io.files`; imports the modules of medsam_engine.io that name no format.
"""
