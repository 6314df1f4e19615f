# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which images `certify` measures, what it asks the engines, and what it says in the certificate, over a stand-in."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from certify_stand_in import FUSED, HEIGHT, QUANTIZED, TINY, WIDTH, Array, StandIn, bundle_with_entries

from medsam_engine_tools.approximate import certify as certify_module
from medsam_engine_tools.approximate.certify import Row, certify, read_cases, table
from medsam_engine_tools.bundle.content_hash import content_hash
from medsam_engine_tools.errors import ExportError


def test_a_folder_gives_its_cases_in_order_and_slices_of_a_volume(images: Path) -> None:
    cases = list(read_cases(images, use_truth=True))
    # 30, 50 and 70 percent of the way from slice 2 to slice 5, rounded down: 2.9, 3.5 and 4.1.
    assert [(case.name, case.modality, case.is_volume) for case in cases] == [
        ("2DBox_Microscopy_a", "Microscopy", False),
        ("3DBox_MR_b", "MR", True),
        ("3DBox_MR_b, slice 2", "MR", False),
        ("3DBox_MR_b, slice 3", "MR", False),
        ("3DBox_MR_b, slice 4", "MR", False),
    ]
    micrograph, volume, _, both, _ = cases
    assert micrograph.boxes.tolist() == [[0, 0, 19, 24], [30, 26, 39, 27]]
    assert micrograph.boxes.dtype == volume.boxes.dtype == both.boxes.dtype == np.float64
    assert volume.boxes.tolist() == [[0, 0, 2, 19, 24, 5], [30, 28, 3, 34, 29, 3]]
    assert volume.truth is not None
    assert both.truth is not None
    assert int(both.pixels[0, 0]) == 3 * HEIGHT * WIDTH
    assert both.boxes.tolist() == [[0, 0, 19, 24], [30, 28, 34, 29]]
    # Label k + 1 is boxes[k]'s, whatever the volume called it.
    assert sorted(np.unique(both.truth)) == [0, 1, 2]
    assert ((both.truth == 1) == (volume.truth[3] == 3)).all()
    assert ((both.truth == 2) == (volume.truth[3] == 7)).all()


def test_without_a_ground_truth_there_are_no_slices(images: Path) -> None:
    cases = list(read_cases(images, use_truth=False))
    assert [(case.name, case.truth) for case in cases] == [("2DBox_Microscopy_a", None), ("3DBox_MR_b", None)]


def test_a_volume_whose_labels_are_one_slice_or_none_gives_one_slice_or_none(tmp_path: Path) -> None:
    for name, marked in (("a", [3]), ("b", []), ("c", [0, 7]), ("d", [0, 4, 7])):
        labels = np.zeros((8, HEIGHT, WIDTH), np.uint8)
        labels[marked, 2:4, 2:4] = 1
        volume = np.zeros((8, HEIGHT, WIDTH), np.uint8)
        np.savez(tmp_path / f"3DBox_CT_{name}.npz", imgs=volume, boxes=np.array([[2, 2, 3, 3, 3, 3]]), gts=labels)
    # Of the slices looked at, 2, 3 and 4, the third volume has labels on none, and the fourth on the last.
    assert [case.name for case in read_cases(tmp_path, use_truth=True)] == [
        "3DBox_CT_a", "3DBox_CT_a, slice 3", "3DBox_CT_b", "3DBox_CT_c", "3DBox_CT_d", "3DBox_CT_d, slice 4",
    ]  # fmt: skip


def test_a_folder_without_cases_or_a_case_without_boxes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^images: got no \*\.npz in '.*', expected challenge cases with imgs and"):
        list(read_cases(tmp_path, use_truth=True))
    np.savez(tmp_path / "2DBox_CT_a.npz", imgs=np.zeros((4, 4), np.uint8), gts=np.zeros((4, 4), np.uint8))
    with pytest.raises(ExportError, match=r"^images: got no boxes in '.*2DBox_CT_a\.npz', expected the challenge's"):
        list(read_cases(tmp_path, use_truth=True))


def test_both_engines_are_asked_the_same_and_a_volume_is_asked_box_by_box(
    images: Path, tmp_path: Path, engines: list[StandIn]
) -> None:
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    certify(bundle, images, truth=False, encoder="f32", decoder="bf16")
    exact, approximate = engines
    assert (exact.bundle, approximate.bundle) == (bundle, bundle)
    shared = {"profile": "clinical", "cache_bytes": 1 << 30}
    assert exact.options == {"precision": "f32/f32", **shared}
    assert approximate.options == {"precision": "f32/bf16", "allow_uncertified": True, **shared}
    volume = (8, HEIGHT, WIDTH)
    assert exact.calls == [
        ("encode", (HEIGHT, WIDTH, 3), "Microscopy"),
        ("segment", [[0, 0, 19, 24]]),
        ("segment", [[30, 26, 39, 27]]),
        ("volume", volume, [[0, 0, 2, 19, 24, 5]], "MR"),
        ("volume", volume, [[30, 28, 3, 34, 29, 3]], "MR"),
    ]
    assert approximate.calls == exact.calls


def test_a_case_may_have_one_box_and_no_modality(tmp_path: Path, engines: list[StandIn]) -> None:
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    (tmp_path / "images").mkdir()
    np.savez(tmp_path / "images" / "a.npz", imgs=np.zeros((9, 9), np.uint8), boxes=np.array([1, 1, 4, 4]))
    certificate, _ = certify(bundle, tmp_path / "images")
    assert certificate["stages"] == {"encoder": "bf16_mixed", "decoder": "bf16"}, "the approximation of the default"
    assert engines[0].calls == [("encode", (9, 9), None), ("segment", [[1, 1, 4, 4]])]


@pytest.mark.parametrize(
    ("encoder", "decoder", "name"),
    [
        ("bf16_mixed", "bf16", "bf16"),
        ("bf16_mixed", "f32", "bf16"),
        ("f32", "bf16", "bf16"),
        ("f16", "f16", "f16"),
        ("int8", "f32", "int8"),
        ("bf16_fused", "f32", "bf16"),
        ("f32_fused", "bf16", "bf16"),
        ("f32_fused", "f32", "f32"),
    ],
)
def test_a_certificate_says_what_was_measured(
    images: Path,
    tmp_path: Path,
    engines: list[StandIn],
    monkeypatch: pytest.MonkeyPatch,
    encoder: str,
    decoder: str,
    name: str,
) -> None:
    del engines
    monkeypatch.setattr(certify_module, "run_apart", lambda *_: (np.zeros(1, np.float32), ""))
    bundle = bundle_with_entries(tmp_path / "bundle")
    said: list[str] = []
    certificate, rows = certify(
        bundle, images, encoder=encoder, decoder=decoder, profile="litemedsam", progress=said.append
    )
    extra: dict[str, Any] = {}
    if encoder == "int8":
        extra = {"quantized": {"encoder": content_hash(QUANTIZED)}}
    if encoder.endswith("_fused"):
        extra = {"fused": {"encoder": content_hash(FUSED), "backend": "kernels 2"}}
    assert certificate == {
        "precision": name,
        "stages": {"encoder": encoder, "decoder": decoder},
        **extra,
        "model_hash": "the hash",
        "backend": "OpenVINO 1",
        "device": "CPU",
        "measured": {
            "machine": "a processor",
            "profile": "litemedsam",
            "images": 5,
            "objects": 8,
            # Without a column: 2 * 475 / (500 + 475) and so on.
            "agreement_mean": pytest.approx((5 * 38 / 39 + 18 / 19 + 2 * 8 / 9) / 8),
            "agreement_worst": pytest.approx(8 / 9),
            "truth_f32": 1.0,
            "truth": pytest.approx((4 * 38 / 39 + 18 / 19 + 8 / 9) / 6),
            "worst_loss": pytest.approx(1 / 39),
        },
    }
    assert len(rows) == 8
    assert said[0] == "2DBox_Microscopy_a: agreement 0.9474 at worst"
    for file in (bundle / "manifest.json", tmp_path / "cache" / "remembered.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        assert (content["certificates"] if isinstance(content, dict) else content) == [certificate]


def test_what_the_engine_refuses_is_the_error(images: Path, tmp_path: Path, engines: list[StandIn]) -> None:
    with pytest.raises(ExportError, match=r"^precision: got another word$"):
        certify(tmp_path / "refused", images)
    assert engines == []


def test_an_int8_encoder_is_tried_in_another_process_first(
    images: Path, tmp_path: Path, engines: list[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_with_entries(tmp_path / "bundle")
    tried: list[tuple[Path, tuple[int, ...], Any, str]] = []

    def crash(model: Path, inputs: Array, precision: str) -> tuple[None, str]:
        tried.append((model, inputs.shape, inputs.dtype, precision))
        return None, "the process ended by signal 8"

    monkeypatch.setattr(certify_module, "run_apart", crash)
    with pytest.raises(ExportError, match=r"does not run here \(the process ended by signal 8\); quantize the bundle"):
        certify(bundle, images, encoder="int8", decoder="f32")
    assert tried == [(bundle / "encoder_int8.onnx", (1, 3, 32, 32), np.float32, "bf16")]
    assert engines == [], "before an engine runs it"
    certify(bundle, images, encoder="bf16_fused", decoder="f32")
    assert len(tried) == 1, "no other encoder is"


def test_an_encoder_that_the_bundle_does_not_have_is_an_error(
    images: Path, tmp_path: Path, engines: list[StandIn]
) -> None:
    del engines
    bundle = shutil.copytree(TINY, tmp_path / "bundle")
    with pytest.raises(ExportError, match=r"^encoder: got int8, but the bundle has no int8 encoder; make one with"):
        certify(bundle, images, encoder="int8", decoder="f32")
    with pytest.raises(ExportError, match=r"^encoder: got bf16_fused, but the bundle has no fused encoder; export"):
        certify(bundle, images, encoder="bf16_fused", decoder="f32")
    with pytest.raises(ExportError, match=r"^decoder: got f32_fused, but the bundle has no fused decoder; export"):
        certify(bundle, images, encoder="f32", decoder="f32_fused")


def test_the_table_is_csv_with_empty_cells_for_what_is_not_known() -> None:
    rows = [Row('=a "b"', 1, 500, 0.98765, 0.5, 0.25), Row("c", 2, 0, 1.0, None, None)]
    assert table(rows) == (
        "case,object,pixels,agreement,truth_f32,truth\n"
        '"\'=a ""b""","1","500",0.9877,0.5000,0.2500\n'
        '"c","2","0",1.0000,,\n'
    )
    assert table(rows[1:]).splitlines()[1] == '"c","2","0",1.0000,,'
