# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Kernels that all processors of one kind have, so that unlike machines give equal bytes."""

import os
import platform

from medsam_engine import EngineInfo, simd_target
from medsam_engine.errors import InvalidArgument, Unsupported

_VARIABLE = "MEDSAM_ENGINE_SIMD"  # kernels/base/target.hpp
_TARGETS = {"x86_64": "AVX2", "amd64": "AVX2", "aarch64": "NEON", "arm64": "NEON"}


def pin_kernels() -> str:
    """Has this process use the kernels of AVX2 or NEON, by the kind of the processor; returns their name.

    Call it before anything of the engine runs.

    Raises:
        Unsupported: the processor is of another kind, or other kernels have been used in this process.
    """
    target = _TARGETS.get(platform.machine().lower())
    if target is None:
        raise Unsupported(f"--reproducible: got a processor {platform.machine()}, expected x86-64 or ARM of 64 bits")
    os.environ.setdefault(_VARIABLE, target)
    try:
        used = simd_target()
    except ValueError as error:  # a processor without it
        raise Unsupported(f"--reproducible: {error}") from error
    if used != target:
        raise Unsupported(
            f"--reproducible: got the kernels of {used} in this process, expected those of {target}; set "
            f"{_VARIABLE}={target} before it starts"
        )
    return used


def check_reproducible(about: EngineInfo) -> None:
    """Refuses an engine that somebody else has loaded and that gives no reproducible answers.

    Raises:
        Unsupported: as pin_kernels.
        InvalidArgument: it is not in f32.
    """
    pin_kernels()
    if about.precision != "f32":
        raise InvalidArgument(
            f'--reproducible: got an engine in {about.precision}, expected one in f32; pass precision="f32" to Engine'
        )


def kernels_note(about: EngineInfo) -> str:
    """A note where an engine does not compute on the pinned kernels alone; "" where it does."""
    foreign = [name for name in (about.encoder_backend, about.decoder_backend) if "fused" not in name]
    return f"{foreign[0]} chooses its own kernels; masks may differ between processors by rounding" if foreign else ""
