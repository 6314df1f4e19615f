# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""DICOM segmentation objects (SEG), through highdicom: one binary segment a label, with references to the images."""

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine._core import version
from medsam_engine.errors import InvalidArgument, Unsupported
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.dicom.seg_identity import derive_identity
from medsam_engine.io.dicom.seg_source import source_headers
from medsam_engine.io.extras import require
from medsam_engine.io.label_colors import label_colors
from medsam_engine.io.medical_image import DicomSource, MedicalImage
from medsam_engine.io.named_boxes import default_name

SERIES_DESCRIPTION = "medsam-engine segmentation"


def seg_bytes(
    labels: NDArray[np.generic],
    reference: MedicalImage,
    algorithm: str = "medsam-engine",
    names: Mapping[int, str] | None = None,
    derived: bool = False,
) -> bytes:
    """A SEG object of unsigned integer labels (D, H, W) or (H, W); segment k is label k, for 1 to the highest label.

    Args:
        labels: on the grid of `reference`.
        reference: read from DICOM; its files must still be there, because their identifiers go into the object.
        algorithm: name of what made the labels, as the object records it.
        names: of labels, as SegmentLabel; others are "label 3".
        derived: UIDs and dates follow from images and labels (`seg_identity`); otherwise they are random and of now.

    Raises:
        InvalidArgument: the reference is no DICOM image, there is no label at all, or its files are gone.
        Unsupported: the images lack what a SEG must refer to, or have fewer than 8 pixels; highdicom is not installed.
    """
    source = reference.source
    if not isinstance(source, DicomSource):
        raise InvalidArgument(
            f"output: got a DICOM SEG for {reference.path}, expected one for a DICOM image; "
            "choose .nii.gz, .nrrd, .mha, .png or .npz"
        )
    highest = int(labels.max(initial=0))
    if highest == 0:
        raise InvalidArgument(
            "labels: got none above 0, expected at least one object in a DICOM SEG; "
            "choose another format for an empty mask"
        )
    if labels.shape[-1] * labels.shape[-2] < 8:  # highdicom 0.28 pads each of these frames to a whole byte
        raise Unsupported(
            f"output: got slices of {labels.shape[-1]}x{labels.shape[-2]} pixels in {reference.path}, expected at "
            "least 8 pixels for a DICOM SEG; choose .nii.gz or .nrrd"
        )
    seg = require("highdicom", "writing a DICOM SEG").seg
    datasets = source_headers(source.files, reference.path)
    frames = labels[np.newaxis] if labels.ndim == 2 else labels
    if source.frames:
        frames = frames[np.argsort(source.frames)]  # back to the file's order
    narrow = frames.astype(np.uint8 if highest <= 255 else np.uint16)
    try:
        with quiet_dicom():  # about attributes that the source images lack, and values that are too long
            content = io.BytesIO()
            made = _segmentation(seg, datasets, narrow, highest, algorithm, names or {})
            if derived:
                derive_identity(made, datasets, narrow, names or {})
            made.save_as(content)
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise Unsupported(
            f"output: got images that a DICOM SEG cannot refer to ({reason}) in {reference.path}, expected a complete "
            "DICOM series; choose .nii.gz or .nrrd"
        ) from error
    return content.getvalue()


def check_seg(reference: MedicalImage) -> None:
    """Says before the work is done that `reference` cannot have a SEG, by making one of one voxel. As seg_bytes."""
    labels = np.zeros(reference.grid, np.uint8)
    labels.flat[0] = 1
    seg_bytes(labels, reference)


def _segmentation(
    seg: Any, datasets: list[Any], frames: NDArray[np.generic], highest: int, algorithm: str, names: Mapping[int, str]
) -> Any:
    highdicom = require("highdicom", "writing a DICOM SEG")
    codes = require("pydicom.sr.codedict", "writing a DICOM SEG").codes
    made_by = highdicom.AlgorithmIdentificationSequence(
        name=algorithm, version=version(), family=codes.cid7162.ArtificialIntelligence
    )
    # The engine does not know what it was asked to outline: "Tissue", as 3D Slicer labels such segments.
    segments = [
        seg.SegmentDescription(
            segment_number=label,
            segment_label=names.get(label) or default_name(label),
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=made_by,
            display_color=highdicom.color.CIELabColor.from_rgb(*(int(part) for part in color)),
        )
        for label, color in enumerate(label_colors(highest), start=1)
    ]
    release = re.sub(r"[^0-9.]", "", version()) or "0"
    return seg.Segmentation(
        source_images=datasets,
        pixel_array=frames,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=highdicom.UID(),
        series_number=1000 + max(0, int(datasets[0].get("SeriesNumber") or 0)),
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="medsam-engine contributors",
        manufacturer_model_name="medsam-engine",
        software_versions=release,
        device_serial_number="0",
        series_description=SERIES_DESCRIPTION,
        omit_empty_frames=True,
        specific_character_set="ISO_IR 192",  # UTF-8: what source_headers has turned all text into, and the names
    )
