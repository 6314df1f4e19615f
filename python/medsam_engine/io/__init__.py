# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files in and out. Needs Pillow (the extra [cli]) when a function is called; not imported by the package itself."""

from medsam_engine.io.image_file import ImageFile, read_image
from medsam_engine.io.png_file import write_label_map, write_rgb

__all__ = ["ImageFile", "read_image", "write_label_map", "write_rgb"]
