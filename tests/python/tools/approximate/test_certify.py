# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `certify` refuses before it measures for an hour, and which certificates a bundle keeps."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine_tools.approximate import certify as certify_module
from medsam_engine_tools.approximate.certify import Case, Row, add_certificate, certify, compare, compare_all, summary
from medsam_engine_tools.errors import ExportError

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


def test_two_stages_in_f32_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^precision: got f32 for both stages"):
        certify(tmp_path / "no bundle", tmp_path / "no images", encoder="f32", decoder="f32")


def test_a_folder_without_an_object_is_an_error() -> None:
    engine = Engine(TINY, cache_dir="none")
    with pytest.raises(ExportError, match="got no box in any case"):
        compare_all([], engine, engine, lambda _: None)


def test_what_is_measured_here_is_this_machines_and_a_copy_elsewhere_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    info = Engine(bundle).info
    measured = {"images": 40, "objects": 99, "agreement_mean": 0.1 + 0.89, "agreement_worst": 0.9}
    certificate = {
        "precision": "bf16",
        "stages": {"encoder": "f32", "decoder": "bf16"},
        "model_hash": info.model_hash,
        "backend": info.backend,
        "device": "CPU",
        "measured": {**measured, "truth_f32": None, "truth": None, "worst_loss": None},
    }
    add_certificate(bundle, certificate, info.certificates_file)
    [found] = Engine(bundle).info.certificates
    assert (found.encoder, found.decoder, found.origin) == ("f32", "bf16", "machine")
    assert "own word" not in found.obstacle
    other = Engine(bundle, cache_dir=tmp_path / "another cache")
    assert other.info.certificates[0].origin == "bundle"
    assert other.info.certificates[0].obstacle
    assert other.info.certified == ("f32/f32",)
    trusting = Engine(bundle, cache_dir=tmp_path / "another cache", trust_bundle_certificates=True)
    assert trusting.info.certified == Engine(bundle).info.certified


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
            str(tmp_path / "cache" / "remembered.json"),
        )
    remembered = json.loads((tmp_path / "cache" / "remembered.json").read_text(encoding="utf-8"))
    kept = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["certificates"]
    assert remembered == kept
    assert [(c["stages"]["encoder"], c["measured"]["images"]) for c in kept] == [("f32", 42), ("bf16_mixed", 43)]


WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, onnx=None, onnxscript=None)  # importing them is an ImportError
from medsam_engine_tools.approximate import certify
from medsam_engine.cli.bundle.export_tools import export_tools
with export_tools("certify", needs=()):
    certify.add_certificate(certify.Path(sys.argv[1]), {"stages": {}, "backend": "b", "device": "d"}, "")
"""


def test_needs_no_torch(tmp_path: Path) -> None:
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(bundle)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["certificates"]


def row(pixels: int, f32: float | None, other: float | None, agreement: float = 1.0) -> Row:
    return Row("case", 1, pixels, agreement, f32, other)


@pytest.mark.parametrize(
    ("rows", "worst_loss"),
    [
        ([row(399, 0.9, 0.1)], 0.0),  # too small to count
        ([row(400, 0.9, 0.1)], 0.8),
        ([row(400, 0.69, 0.1)], 0.0),  # f32 did not find it either
        ([row(400, 0.70, 0.1)], 0.6),
        ([row(400, 0.8, 0.9)], -0.1),  # a gain is a negative loss
        ([row(399, 0.9, 0.1), row(400, 0.75, 0.7), row(5000, 0.9, 0.88)], 0.05),
        ([row(5000, 0.9, 0.5), row(5000, None, None)], 0.4),
    ],
)
def test_the_worst_loss_is_of_large_objects_that_f32_finds(rows: list[Row], worst_loss: float) -> None:
    assert summary(rows, 1)["worst_loss"] == pytest.approx(worst_loss)


def test_a_summary_by_hand() -> None:
    rows = [row(10, 0.5, 0.25, 0.75), row(500, 0.9, 0.7, 1.0), row(0, None, None, 0.5)]
    assert summary(rows, 2) == {
        "images": 2,
        "objects": 3,
        "agreement_mean": pytest.approx(0.75),
        "agreement_worst": 0.5,
        "truth_f32": pytest.approx(0.7),
        "truth": pytest.approx(0.475),
        "worst_loss": pytest.approx(0.2),
    }
    assert summary([row(500, None, None, 0.9)], 1) == {
        "images": 1,
        "objects": 1,
        "agreement_mean": 0.9,
        "agreement_worst": 0.9,
        "truth_f32": None,
        "truth": None,
        "worst_loss": None,
    }


def test_a_comparison_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def mask(*columns: int) -> NDArray[np.bool_]:
        made = np.zeros((2, 5), bool)
        made[:, list(columns)] = True
        return made

    truth = np.zeros((2, 5), np.uint16)
    truth[:, 0:2] = 1  # object 1 is columns 0 and 1; objects 2, 3 and 4 have no ground truth
    exact = [mask(0, 1), mask(), mask(2), mask()]
    approximate = [mask(1, 2), mask(), mask(), mask(3)]
    given = {"exact": exact, "approximate": approximate}

    asked: list[Case] = []

    def masks(engine: Engine, case: Case) -> Iterator[NDArray[np.bool_]]:
        asked.append(case)
        return iter(given[cast(str, engine)])

    monkeypatch.setattr(certify_module, "_masks", masks)
    case = Case("a", "CT", np.zeros((2, 5), np.uint8), np.zeros((4, 4)), truth)
    rows = list(compare(case, cast(Engine, "exact"), cast(Engine, "approximate")))
    assert rows == [
        Row("a", 1, 4, 0.5, 1.0, 0.5),  # 2 of 4 pixels shared: 2 * 2 / (4 + 4)
        Row("a", 2, 0, 1.0, None, None),  # both empty: they agree
        Row("a", 3, 2, 0.0, None, None),  # lost
        Row("a", 4, 0, 0.0, None, None),  # found where f32 finds nothing
    ]
    assert asked == [case, case]
    untold = replace(case, truth=None)
    rows = list(compare(untold, cast(Engine, "exact"), cast(Engine, "approximate")))
    assert [(r.agreement, r.truth_f32, r.truth) for r in rows] == [(a, None, None) for a in (0.5, 1.0, 0.0, 0.0)]
    given["approximate"] = approximate[:3]
    with pytest.raises(ValueError, match="shorter"):
        list(compare(case, cast(Engine, "exact"), cast(Engine, "approximate")))


def test_images_are_answered_with_the_windows_of_a_profile_that_zooms(tiny_engine: Engine) -> None:
    """But for pairs that compute in f32, of which the model's single answers are compared."""
    pixels = np.random.default_rng(4).integers(0, 256, (96, 128), np.uint8)
    boxes = np.array([[30.0, 40.0, 41.0, 49.0], [5.0, 5.0, 90.0, 80.0]])  # the first is small
    case = Case("a", "US", pixels, boxes, None)
    embedding = tiny_engine.encode(pixels)
    for k, (mask, answer) in enumerate(
        zip(certify_module._masks(tiny_engine, case), certify_module._answers(tiny_engine, case), strict=True)
    ):
        np.testing.assert_array_equal(mask, tiny_engine.segment(embedding, boxes[k : k + 1]) != 0)
        np.testing.assert_array_equal(answer, tiny_engine.predict(embedding, box=boxes[k]).mask(0))
        assert np.array_equal(mask, answer) == (k == 1)
