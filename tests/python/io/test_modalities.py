# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Modalities as files spell them."""

import pytest

from medsam_engine import modality_names
from medsam_engine.io.modalities import named_modality


@pytest.mark.parametrize(
    ("word", "name"),
    [("PT", "PET"), ("dx", "XRay"), ("MG", "Mammography"), ("X-Ray", "XRay"), ("Microscope", "Microscopy")],
)
def test_dicom_codes_and_spellings(word: str, name: str) -> None:
    assert named_modality(word) == name


@pytest.mark.parametrize("word", [None, "", "OT", "SEG", "XC", "banana"])
def test_what_tells_nothing_is_none(word: str | None) -> None:
    assert named_modality(word) is None


def test_every_name_names_itself() -> None:
    assert [named_modality(name) for name in modality_names()] == modality_names()
