# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `certify` refuses before it measures for an hour, and which certificates a bundle keeps."""

import json
import shutil
from pathlib import Path

import pytest

from medsam_engine import Engine
from medsam_engine_tools.certify import add_certificate, certify, compare_all
from medsam_engine_tools.errors import ExportError

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


def test_two_stages_in_f32_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="got f32 for both stages"):
        certify(tmp_path / "no bundle", tmp_path / "no images", encoder="f32", decoder="f32")


def test_a_folder_without_an_object_is_an_error() -> None:
    engine = Engine(TINY, cache_dir="none")
    with pytest.raises(ExportError, match="got no box in any case"):
        compare_all([], engine, engine, lambda _: None)


def test_a_certificate_replaces_the_one_of_the_same_stages_only(tmp_path: Path) -> None:
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    for encoder, images in (("bf16_mixed", 41), ("f32", 42), ("bf16_mixed", 43)):
        add_certificate(
            bundle,
            {
                "precision": "bf16",
                "stages": {"encoder": encoder, "decoder": "bf16"},
                "backend": "OpenVINO 1",
                "device": "CPU",
                "measured": {"images": images},
            },
        )
    kept = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["certificates"]
    assert [(c["stages"]["encoder"], c["measured"]["images"]) for c in kept] == [("f32", 42), ("bf16_mixed", 43)]
