# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files in and out.

Pillow, SimpleITK, pydicom and highdicom are imported when a file needs them: a thin installation has none.
"""

from medsam_engine.io.box_files import read_boxes, read_names
from medsam_engine.io.files import check_output, read, read_labels, write
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.io.named_boxes import NamedBoxes
from medsam_engine.io.picture.image_file import ImageFile, read_image
from medsam_engine.io.picture.png_file import write_label_map, write_rgb

__all__ = [
    "ImageFile",
    "MedicalImage",
    "NamedBoxes",
    "check_output",
    "read",
    "read_boxes",
    "read_image",
    "read_labels",
    "read_names",
    "write",
    "write_label_map",
    "write_rgb",
]
