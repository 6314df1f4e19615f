# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files in and out.

Pillow, SimpleITK, pydicom and highdicom are imported when a file needs them: a thin installation has none. The modules
of this package are imported when a name of it is used: a host that passes its own arrays does not wait for them.
"""

from typing import TYPE_CHECKING

from medsam_engine.base.lazy_names import lazy_names

if TYPE_CHECKING:
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

if not TYPE_CHECKING:
    __getattr__ = lazy_names(
        __name__,
        {
            "ImageFile": "medsam_engine.io.picture.image_file",
            "MedicalImage": "medsam_engine.io.medical_image",
            "NamedBoxes": "medsam_engine.io.named_boxes",
            "check_output": "medsam_engine.io.files",
            "read": "medsam_engine.io.files",
            "read_boxes": "medsam_engine.io.box_files",
            "read_image": "medsam_engine.io.picture.image_file",
            "read_labels": "medsam_engine.io.files",
            "read_names": "medsam_engine.io.box_files",
            "write": "medsam_engine.io.files",
            "write_label_map": "medsam_engine.io.picture.png_file",
            "write_rgb": "medsam_engine.io.picture.png_file",
        },
    )

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
