# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files in and out.

Pillow (the extra [cli]) and SimpleITK, pydicom and highdicom ([medical]) are imported when a file needs them.
"""

from medsam_engine.io.files import check_output, read, read_labels, write
from medsam_engine.io.image_file import ImageFile, read_image
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.io.png_file import write_label_map, write_rgb

__all__ = [
    "ImageFile",
    "MedicalImage",
    "check_output",
    "read",
    "read_image",
    "read_labels",
    "write",
    "write_label_map",
    "write_rgb",
]
