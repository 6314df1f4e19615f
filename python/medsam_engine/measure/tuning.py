# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which certified precision and how many threads are fastest here; `medsam-engine tune` keeps the answer for "auto".

The engine decides what may run (`EngineInfo.certified`) and reads the stored choice (cpp/src/precision/tuning.cpp),
checking its certificate again; here it is only measured and written.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine import _core
from medsam_engine.base.cores import usable_cores
from medsam_engine.base.whole_file import make_private_folder, write_atomically
from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument
from medsam_engine.measure.bench import ENCODE, PROMPT, measure
from medsam_engine.measure.machine import describe_machine

SCHEMA_VERSION = 1
DEVICE = "CPU"
MARGIN = 0.05
"""What another choice must gain over an earlier one, of less approximation or the runtime's own threads."""


@dataclass(frozen=True)
class Measured:
    """One candidate; milliseconds from an image to its embedding, and from there to the next prompt's mask."""

    encoder: str
    decoder: str
    threads: int
    encode_ms: float
    prompt_ms: float

    @property
    def total_ms(self) -> float:
        """From an image to its first mask, by which candidates are compared."""
        return self.encode_ms + self.prompt_ms

    def __str__(self) -> str:
        return f"{self.encoder}/{self.decoder}, {self.threads or 'all'} threads"


@dataclass(frozen=True)
class Tuned:
    """The measurements of both rounds and their results; the second round repeats the best candidate of the first."""

    by_precision: list[Measured]
    best_precision: Measured
    by_threads: list[Measured]
    choice: Measured


def thread_counts(cores: int) -> list[int]:
    """The numbers worth trying: the runtime's own choice (0), every core, and half and a quarter of them."""
    return [0, *sorted({max(1, cores // part) for part in (1, 2, 4)}, reverse=True)]


def fastest(measured: Sequence[Measured]) -> Measured:
    """The one of the smallest total; an earlier one unless a later one is faster by more than MARGIN."""
    best = measured[0]
    for other in measured[1:]:
        if other.total_ms < best.total_ms * (1 - MARGIN):
            best = other
    return best


def _times(
    bundle: Path, candidates: Sequence[tuple[str, int]], size: int, repeats: int, options: dict[str, Any]
) -> list[Measured]:
    engines = {
        f"{pair} {threads}": Engine(bundle, precision=pair, threads=threads, cache_bytes=0, **options)
        for pair, threads in candidates
    }
    rows = measure(engines, size, repeats, stages=(ENCODE, PROMPT))
    median = {(row.stage, row.precision): row.median_ms for row in rows}
    found = []
    for pair, threads in candidates:
        encoder, decoder = pair.split("/")
        name = f"{pair} {threads}"
        found.append(Measured(encoder, decoder, threads, median[ENCODE, name], median[PROMPT, name]))
    return found


def tune(
    bundle: Path,
    size: int = 1024,
    repeats: int = 15,
    cache_dir: Path | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Tuned:
    """Measures and stores the choice that `Engine(bundle, precision="auto")` uses from then on, on this machine.

    First every certified precision on the runtime's own threads, then the fastest on other numbers of threads;
    candidates take turns, and their medians count.

    Args:
        bundle: the model's folder.
        size: side of the image, pixels.
        repeats: calls of each stage and candidate, after one that warms up.
        cache_dir: as Engine's.
        progress: called with a line before each part.

    Returns:
        the choice, and everything measured, in order.

    Raises:
        InvalidArgument: there is no cache folder to keep the choice in.
        ModelError, Unsupported, BackendError: as Engine.
    """
    options: dict[str, Any] = {"cache_dir": cache_dir}
    info = Engine(bundle, **options).info
    target = stored_file(info)
    progress(f"precision: {', '.join(info.certified)}")
    by_precision = _times(bundle, [(pair, 0) for pair in info.certified], size, repeats, options)
    best = fastest(by_precision)
    counts = thread_counts(usable_cores())
    progress(f"threads: {', '.join(str(n) for n in counts[1:])}, or as the runtime likes")
    by_threads = _times(bundle, [(f"{best.encoder}/{best.decoder}", n) for n in counts], size, repeats, options)
    choice = fastest(by_threads)
    store(target, info, choice, [*by_precision, *by_threads], size)
    return Tuned(by_precision, best, by_threads, choice)


def stored_file(info: _core.EngineInfo) -> Path:
    """Where this engine looks for a choice. InvalidArgument when it keeps nothing between runs."""
    if not info.tuning_file:
        raise InvalidArgument(
            "tune: got no cache folder that can be written, expected one to keep the choice in;"
            " set MEDSAM_ENGINE_CACHE to a folder"
        )
    return Path(info.tuning_file)


def store(
    target: Path, info: _core.EngineInfo, choice: Measured, measured: Sequence[Measured] = (), size: int = 0
) -> None:
    """Writes a choice as cpp/src/precision/tuning.cpp reads it. InvalidArgument when it cannot be written."""
    rows = [
        {"candidate": str(row), "encode_ms": round(row.encode_ms, 2), "prompt_ms": round(row.prompt_ms, 2)}
        for row in measured
    ]
    content = {
        "schema_version": SCHEMA_VERSION,
        "model_hash": info.model_hash,
        "engine": _core.version(),
        "backend": info.backend,
        "device": DEVICE,
        "machine": info.machine,
        "stages": {"encoder": choice.encoder, "decoder": choice.decoder},
        "threads": choice.threads,
        "measured": {"image": size, "times": rows, "machine": describe_machine()},
    }
    try:
        make_private_folder(target.parent)
    except OSError as error:
        raise InvalidArgument(f"tune: got {target.parent}, expected a folder to write; {error.strerror}") from error
    write_atomically(target, (json.dumps(content, indent=1) + "\n").encode(), private=True)


def clear(info: _core.EngineInfo) -> bool:
    """Removes the stored choice for this bundle, library and machine; whether there was one. InvalidArgument."""
    target = stored_file(info)
    try:
        target.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InvalidArgument(f"tune: got {target}, expected a file to remove; {error.strerror}") from error
    return True
