# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The manifest's other forms of a bundle's models, and how certificates name them.

The twin of cpp/src/bundle/variant_parser.cpp and of parse_identities() in certificate.cpp: nothing else in the tools
knows these fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from medsam_engine_tools.bundle.content_hash import content_hash
from medsam_engine_tools.errors import ExportError

QUANTIZED, FUSED, F16 = "quantized", "fused", "f16"  # fields of the manifest, and of the certificates for them
FIELDS = (QUANTIZED, F16, FUSED)

STAGES = ("encoder", "decoder")

# Precisions with files of their own: their field, what messages call them, and who makes them.
_OWN_FILES = {
    "int8": (QUANTIZED, "int8", "make one with `medsam-engine quantize`"),
    "bf16_fused": (FUSED, "fused", "export it again"),
    "f32_fused": (FUSED, "fused", "export it again"),
}
# How a certificate names the kernels of a fused stage.
_KERNELS = {"encoder": "backend", "decoder": "decoder_backend"}


def models(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of all models of a manifest, in every form."""
    for field in ("models", *FIELDS):
        yield from content.get(field, {}).values()


def has_graphs(content: Mapping[str, Any]) -> bool:
    """Whether the models are graphs; without them, the bundle has native weights alone."""
    return all("file" in model for model in content["models"].values())


def expect_graphs(content: Mapping[str, Any], name: str = "bundle") -> None:
    """ExportError where the bundle, which the message calls `name`, has no graphs."""
    if not has_graphs(content):
        raise ExportError(f"{name}: got one of native weights alone, expected one with graphs; export it with --onnx")


def has_f16(content: Mapping[str, Any]) -> bool:
    """Whether every model is there in f16, too."""
    return F16 in content


def f16_models(content: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the f16 graphs by the names of their models."""
    return dict(content[F16])


def f16_hash(content: Mapping[str, Any]) -> str:
    """The hash over a manifest's f16 graphs, by which certificates name them."""
    names = sorted(content["models"])
    lines = [f"{name}:{content_hash(content[F16][name])}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def set_f16(content: dict[str, Any], entries: Mapping[str, Any]) -> None:
    """Puts f16 graphs into a manifest; certificates of others go, as they would not hold for these."""
    content[F16] = dict(entries)
    content["certificates"] = [c for c in content["certificates"] if F16 not in c]


def set_int8(content: dict[str, Any], entry: Mapping[str, Any]) -> None:
    """Puts an int8 encoder into a manifest; certificates of an earlier one go, as they would not hold for it."""
    content[QUANTIZED] = {"encoder": dict(entry)}
    content["certificates"] = [c for c in content["certificates"] if c["stages"]["encoder"] != "int8"]


def fused_field(entries: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest's field for native models, whose entries have the roles as names; {} without any."""
    return {FUSED: {role: dict(entry) for role, entry in entries.items()}} if entries else {}


def remove_all(content: dict[str, Any]) -> None:
    """Leaves the exact graphs alone, without a certificate."""
    for field in FIELDS:
        content.pop(field, None)
    content["certificates"] = []


def stage_entry(content: Mapping[str, Any], stage: str, precision: str) -> dict[str, Any] | None:
    """The stage's file for this precision; None where that is the exact graph's. ExportError: the bundle has none."""
    if precision not in _OWN_FILES:
        return None
    field, called, remedy = _OWN_FILES[precision]
    entry = content.get(field, {}).get(stage)
    if entry is None:
        raise ExportError(f"{stage}: got {precision}, but the bundle has no {called} {stage}; {remedy}")
    return dict(entry)


def certified_files(
    content: Mapping[str, Any], precisions: Mapping[str, str], backends: Mapping[str, str]
) -> dict[str, Any]:
    """What a certificate says about the files of the stages, which `backends` ran; {} for the exact graphs."""
    said: dict[str, Any] = {}
    for stage in STAGES:
        entry = stage_entry(content, stage, precisions[stage])
        if entry is None:
            continue
        field = _OWN_FILES[precisions[stage]][0]
        named = said.setdefault(field, {})
        named[stage] = content_hash(entry)
        if field == FUSED:
            named[_KERNELS[stage]] = backends[stage]
    return said
