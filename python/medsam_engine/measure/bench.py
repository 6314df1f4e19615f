# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How long a bundle's stages take on this machine, in every precision that it may run in here.

Precisions take turns (A B A B), so that a noisy machine hits them alike. The image is made of noise: a stage's
time does not depend on what it shows.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine._core import ImageEmbedding
from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument, Unsupported

BATCH = 16
APPROXIMATIONS = ("bf16", "f16", "int8")


ENCODE, PROMPT, BATCHED, MASK = "encode", "next prompt", f"a prompt in a batch of {BATCH}", "logits to mask"


@dataclass(frozen=True)
class StageTime:
    """One stage in one precision; milliseconds."""

    stage: str
    precision: str
    median_ms: float
    p95_ms: float
    calls: int
    bound_ms: float | None = None
    """What the stage's matrix products alone would take at this processor's rate."""


class _Stages:
    """The stages of one engine."""

    def __init__(self, engine: Engine, size: int) -> None:
        self._engine = engine
        self._modality = engine.info.modalities[0] if engine.info.needs_modality else None
        noise = np.random.default_rng(0)
        self._image = noise.integers(0, 256, (size, size, 3), dtype=np.uint8)
        side = engine.info.input_size
        self._small = noise.integers(0, 256, (side, side, 3), dtype=np.uint8)
        low, high = size // 8, size - 1 - size // 8
        offset = np.arange(BATCH)[:, np.newaxis] % max(1, size // 16)
        self._boxes = np.array([[low, low, high, high]]) + offset
        self._embedding = self._encoded(self._image)
        self._prediction = engine.predict(self._embedding, box=self._boxes[:1])

    def steps(self) -> dict[str, tuple[Callable[[], object], int]]:
        """What to call for each stage, and how many of it one call makes."""
        return {
            ENCODE: (lambda: self._encoded(self._image), 1),
            f"{ENCODE}, nothing to resize": (lambda: self._encoded(self._small), 1),
            PROMPT: (lambda: self._masks(1), 1),
            BATCHED: (lambda: self._masks(BATCH), BATCH),
            MASK: (lambda: self._prediction.mask(0), 1),
        }

    def _encoded(self, image: NDArray[np.uint8]) -> ImageEmbedding:
        return self._engine.encode(image, modality=self._modality)

    def _masks(self, count: int) -> None:
        prediction = self._engine.predict(self._embedding, box=self._boxes[:count])
        for n in range(count):
            prediction.mask(n)


def available_engines(
    bundle: Path, threads: int, profile: str | None, uncertified: bool
) -> tuple[dict[str, Engine], dict[str, str]]:
    """An engine for f32 and each approximation that runs here, and why the others do not; no cache of embeddings."""
    engines = {"f32": Engine(bundle, threads=threads, profile=profile, cache_bytes=0)}
    refused = {}
    for precision in APPROXIMATIONS:
        try:
            engines[precision] = Engine(
                bundle,
                precision=precision,
                threads=threads,
                profile=profile,
                cache_bytes=0,
                allow_uncertified=uncertified,
            )
        except (InvalidArgument, Unsupported) as error:
            refused[precision] = str(error)
    return engines, refused


def measure(
    engines: dict[str, Engine],
    size: int,
    repeats: int,
    progress: Callable[[str], object] = lambda _: None,
    stages: Sequence[str] | None = None,
) -> list[StageTime]:
    """Every stage, or those named, in every precision, on a size x size RGB image.

    `repeats` calls each after one that warms up.
    """
    steps = {precision: _Stages(engine, size).steps() for precision, engine in engines.items()}
    seconds: dict[tuple[str, str], list[float]] = {}
    for stage in stages if stages is not None else next(iter(steps.values())):
        progress(stage)
        for turn in range(repeats + 1):
            for precision, calls in steps.items():
                call, share = calls[stage]
                begin = time.perf_counter()
                call()
                elapsed = (time.perf_counter() - begin) / share
                if turn > 0:
                    seconds.setdefault((stage, precision), []).append(elapsed)
    return [
        StageTime(stage, precision, float(np.median(t)) * 1e3, float(np.percentile(t, 95)) * 1e3, len(t))
        for (stage, precision), t in seconds.items()
    ]


def with_bounds(times: Sequence[StageTime], bundle: Path, engines: dict[str, Engine], threads: int) -> list[StageTime]:
    """The same with bound_ms, where the stage is one model of the bundle and all its inputs are known (roofline.py)."""
    from medsam_engine_tools import roofline

    models = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["models"]
    if "encoder" not in models or "decoder" not in models:
        return list(times)  # experts: which one answers is the image's matter
    if "file" not in models["encoder"]:
        return list(times)  # native weights alone: the operations are counted in graphs
    flops = {}
    for stage, role, prompts in ((ENCODE, "encoder", 1), (PROMPT, "decoder", 1), (BATCHED, "decoder", BATCH)):
        graph, _ = roofline.prepare(bundle / models[role]["file"], prompts)
        flops[stage] = role, roofline.count(graph).flops / prompts
    used = {(role, p): _precision_of(engine, role) for p, engine in engines.items() for role in ("encoder", "decoder")}
    rates = {p: roofline.gemm_rate(roofline.LARGE, p, threads, repeats=5)[0] for p in sorted(set(used.values()))}
    bounded = []
    for row in times:
        role, work = flops.get(row.stage, ("", 0))
        if work > 0:
            bound = work / rates[used[role, row.precision]] / 1e6
            bounded.append(replace(row, bound_ms=bound))
        else:
            bounded.append(row)
    return bounded


def _precision_of(engine: Engine, role: str) -> str:
    return engine.info.encoder_precision if role == "encoder" else engine.info.decoder_precision
