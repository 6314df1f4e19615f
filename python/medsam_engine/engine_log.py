# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The logger `medsam_engine`: what the compiled core reports, and at DEBUG what an engine runs and does."""

import logging
import os
from pathlib import Path

from medsam_engine import _core

logger = logging.getLogger("medsam_engine")


def forward_messages(core: _core.Engine) -> None:
    """Logs what the core has reported since the last call: warnings, and news of long compilations as INFO."""
    for is_warning, text in core.take_messages():
        logger.log(logging.WARNING if is_warning else logging.INFO, "%s", text)


def log_loaded(core: _core.Engine, bundle: str | os.PathLike[str]) -> None:
    """What runs: the bundle, precision, device, threads, and where compiled models are kept."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    info = core.info
    # <cache folder>/tuned/<file>: the one fact of the cache that the core gives.
    cache = f"in {Path(info.tuning_file).parents[1]}" if info.tuning_file else "not kept"
    logger.debug(
        "loaded %s: %s, profile %s; encoder %s (%s), decoder %s (%s) on %s; threads %s%s; compiled models %s",
        *(os.fspath(bundle), info.family, info.profile, info.encoder_precision, info.encoder_backend),
        *(info.decoder_precision, info.decoder_backend, info.device, info.threads or "all"),
        *(" (tuned)" if info.tuned else "", cache),
    )


def log_encoded(core: _core.Engine, embedding: _core.ImageEmbedding, seconds: float) -> None:
    """How long an image took, and how the cache of embeddings does."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    stats = core.cache_stats()
    logger.debug(
        "encoded %d x %d pixels in %.1f ms; embeddings: %d hits, %d misses, %d of %d MiB",
        *(embedding.width, embedding.height, seconds * 1000),
        *(stats.hits, stats.misses, stats.bytes >> 20, stats.budget >> 20),
    )
