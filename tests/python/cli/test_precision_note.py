# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The line that says which precision runs, for the pairs that need no certificate and those that do."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from medsam_engine import EngineInfo
from medsam_engine.cli.model_options import precision_note


def info(pair: str, free: str, *certificates: Any) -> EngineInfo:
    encoder, decoder = pair.split("/")
    said = {"encoder_precision": encoder, "decoder_precision": decoder, "certified": (free,), "tuned": False}
    return cast(EngineInfo, SimpleNamespace(**said, certificates=certificates))


NOTHING_FASTER = "; nothing faster is certified for this bundle on this machine"


@pytest.mark.parametrize(("asked", "more"), [("auto", NOTHING_FASTER), ("f32", "")])
def test_what_needs_no_certificate_is_f32(asked: str, more: str) -> None:
    assert precision_note(info("f32/f32", "f32/f32"), asked) == f"precision: f32, the reference{more}"
    alone = "precision: f32 (f32_fused/f32_fused), the only f32 of this bundle, which has no graphs"
    assert precision_note(info("f32_fused/f32_fused", "f32_fused/f32_fused"), asked) == alone + more


def test_beside_graphs_the_same_pair_rests_on_its_certificate() -> None:
    pair = "f32_fused/f32_fused"
    expected = f"precision: {pair}, not certified; --precision f32 for the reference"
    assert precision_note(info(pair, "f32/f32"), pair) == expected
    certificate = SimpleNamespace(
        encoder="f32_fused", decoder="f32_fused", obstacle="", agreement_mean=1.0, images=50, origin="project"
    )
    for free in ("f32/f32", pair):
        assert precision_note(info(pair, free, certificate), "f32") == (
            f"precision: {pair}, certified: agreement with f32 1.000 on 50 images, measured by this project"
        )
