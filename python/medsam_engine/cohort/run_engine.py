# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine that the options of a run describe, and what of it decides on the answers."""

from medsam_engine import Engine, EngineInfo, __version__, find_bundle, simd_target
from medsam_engine.cohort.reproducible import pin_kernels
from medsam_engine.cohort.run_options import RunOptions


def load_engine(options: RunOptions) -> Engine:
    """Loads the engine of a run, on pinned kernels where its answers are to be reproducible.

    Raises:
        Unsupported: kernels cannot be pinned.
        Error: as find_bundle and Engine.
    """
    if options.reproducible:
        pin_kernels()
    return Engine(
        find_bundle(options.bundle),
        device=options.device,
        precision=options.asked_precision,
        trust_bundle_certificates=options.trust_certificates,
        threads=options.threads,
        profile=options.profile,
        cache_dir=options.cache_dir,
    )


def decides_on_masks(about: EngineInfo, reproducible: bool = False) -> dict[str, str]:
    """What of an engine decides on its masks: an answer of another one is another answer.

    Where a run is `reproducible`, the kernels do, too: its answers are to have the same bytes on all processors.
    """
    return {
        "engine": __version__,
        "model": about.model_hash,
        "fingerprint": about.fingerprint,
        "profile": about.profile,
        "precision": f"{about.encoder_precision}/{about.decoder_precision}",
        "device": about.device,
        "backend": about.backend,
        **({"kernels": simd_target()} if reproducible else {}),
    }
