# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The options that choose a model and how it runs, shared by all commands that have them, and its loading."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medsam_engine import CertificateInfo, Engine, EngineInfo, find_bundle
from medsam_engine.cohort.run_options import chosen_precision

PANEL = "Model"

Bundle = Annotated[
    Path | None,
    typer.Option(
        help="Model folder; by default $MEDSAM_ENGINE_BUNDLE, or else the fetched one.", rich_help_panel=PANEL
    ),
]
Profile = Annotated[
    str, typer.Option(help="clinical, or the rules of a published system (docs/profiles.md).", rich_help_panel=PANEL)
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="auto (the fastest precision that is certified to keep the masks), f32 (the reference), bf16, f16, int8 "
        "or ENCODER/DECODER, such as bf16/f32. The default is auto with the profile clinical and f32 with all others.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TrustCertificates = Annotated[
    bool,
    typer.Option(
        "--trust-certificates",
        help="Accept the certificates that the bundle contains, although only the bundle vouches for them.",
        rich_help_panel=PANEL,
    ),
]
Device = Annotated[
    str, typer.Option(help="CPU, GPU, NPU or AUTO (OpenVINO), or cuda:N (TensorRT).", rich_help_panel=PANEL)
]
Threads = Annotated[int, typer.Option(help="Inference threads; 0 = all cores.", rich_help_panel=PANEL)]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help='Folder for compiled models, or "none"; by default the user\'s cache folder.',
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """What was given of these options, and their defaults; `cache_dir` is as for Engine."""

    bundle: Path | None = None
    profile: str = "clinical"
    precision: str | None = None
    trust_certificates: bool = False
    device: str = "CPU"
    threads: int = 0
    cache_dir: Path | None = None

    @property
    def asked_precision(self) -> str:
        """The precision to ask the engine for."""
        return chosen_precision(self.precision, self.profile)

    def engine(self, modality: str | None = None) -> Engine:
        """Loads the model. `modality` is as for Engine. Raises as find_bundle and Engine."""
        return Engine(
            find_bundle(self.bundle),
            device=self.device,
            precision=self.asked_precision,
            trust_bundle_certificates=self.trust_certificates,
            threads=self.threads,
            profile=self.profile,
            modality=modality,
            cache_dir=self.cache_dir,
        )


ORIGINS = {
    "project": "measured by this project",
    "machine": "measured on this machine",
    "bundle": "claimed by the bundle",
}


def certificate_in_force(info: EngineInfo) -> CertificateInfo | None:
    """The certificate that the engine's precision rests on; None in f32 on the exact graphs, or without one."""
    stages = (info.encoder_precision, info.decoder_precision)
    return next((c for c in info.certificates if (c.encoder, c.decoder) == stages and not c.obstacle), None)


def precision_note(info: EngineInfo, asked: str) -> str:
    """One line: the precision in force and why its masks may be trusted. `asked` is the precision asked for."""
    stages = f"{info.encoder_precision}/{info.decoder_precision}"
    none_faster = "; nothing faster is certified for this bundle on this machine" if asked == "auto" else ""
    if stages == "f32/f32":
        return f"precision: f32, the reference{none_faster}"
    certificate = certificate_in_force(info)
    if certificate is None and stages == info.certified[0]:
        return f"precision: f32 ({stages}), the only f32 of this bundle, which has no graphs{none_faster}"
    if certificate is None:
        return f"precision: {stages}, not certified; --precision f32 for the reference"
    tuned = ", tuned here" if info.tuned else ""
    hint = "" if asked == "f32" else "; --precision f32 for the reference"
    return (
        f"precision: {stages}{tuned}, certified: agreement with f32 {certificate.agreement_mean:.3f} on "
        f"{certificate.images} images, {ORIGINS[certificate.origin]}{hint}"
    )
