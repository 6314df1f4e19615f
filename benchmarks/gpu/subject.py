# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the check of a GPU runs: a bundle, and images and boxes for it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.errors import Error


def image_of(seed: int, height: int = 384, width: int = 512) -> NDArray[np.uint8]:
    """Bright ellipses on a noisy background, (H, W) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = rng.integers(0, 60, (height, width))
    for _ in range(6):
        cx, cy, rx, ry = rng.uniform((40, 40, 15, 15), (width - 40, height - 40, 60, 60))
        pixels[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] += int(rng.integers(60, 180))
    return pixels.clip(0, 255).astype(np.uint8)


def boxes_of(count: int, seed: int, height: int = 384, width: int = 512) -> NDArray[np.float64]:
    """`count` boxes inside the image, (N, 4)."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform((0, 0), (width - 100, height - 100), (count, 2))
    return np.concatenate([corner, corner + rng.uniform(20, 99, (count, 2))], axis=1)


@dataclass(frozen=True)
class Subject:
    """A bundle under test; `weights`: the checkpoint it was made of, where PyTorch is to run it too."""

    bundle: Path
    device: str
    modality: str | None = None
    real: bool = True  # weights that were trained: masks of stand-in weights turn on the last bits
    weights: Path | None = None

    def engine(self, device: str, precision: str = "f32", **options: Any) -> Engine:
        """An engine of the bundle's own profile."""
        uncertified = precision != "f32"
        return Engine(
            self.bundle, profile="", device=device, precision=precision, allow_uncertified=uncertified, **options
        )

    def modality_of(self, engine: Engine) -> str | None:
        """What to call the images."""
        if self.modality is None and engine.info.needs_modality:
            return engine.info.modalities[0]
        return self.modality


@contextlib.contextmanager
def in_precision(subject: Subject, precision: str) -> Iterator[tuple[Subject, str]]:
    """The subject to run and its precision: on the CPU, f16 is a copy of the bundle that rounds as f16 does."""
    if precision == "f32" or subject.device != "CPU":
        yield subject, precision
        return
    from medsam_engine_tools.approximate.half_bundle import write_emulation

    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as folder:
        write_emulation(subject.bundle, Path(folder))
        yield replace(subject, bundle=Path(folder)), "f32"


def overflows(subject: Subject) -> str | None:
    """What the CPU says when it rounds as the bundle's f16 graphs do, if that is an error; None when all is well.

    Untrained weights may go beyond f16 anywhere, which says nothing of a device.
    """
    with in_precision(replace(subject, device="CPU"), "f16") as (run_as, named):
        try:
            engine = run_as.engine("CPU", named)
            modality = run_as.modality_of(engine)
            engine.predict(engine.encode(image_of(1), modality=modality), box=boxes_of(8, 1))
        except Error as error:
            return str(error)
    return None
