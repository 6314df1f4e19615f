# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reads files in a process of its own: a line "KIND PATH" in, a line of JSON out, so that a crash is seen and counted.

The API, the command (over an engine that answers at once) and the second reader, one after another; before each its
name is written to standard output, so that it is known who ended the process.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_stand_in import EngineStandIn
from second_readers import Second, second

from medsam_engine import Error, io
from medsam_engine.cli.app import run
from medsam_engine.cli.segment import command as segment

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
_REPLIES = os.dup(1)  # standard output itself is watched


class StubEngine(EngineStandIn):  # type: ignore[misc]  # imported from the tests' own folder
    """Says of every voxel that it belongs to the first box."""

    def encode(self, pixels: Any) -> Any:
        return pixels

    def segment(self, pixels: Any, _boxes: Any) -> Any:
        return np.ones(pixels.shape[:2], np.uint16)

    def segment_volume(self, pixels: Any, _boxes: Any, **_options: object) -> Any:
        return np.ones(pixels.shape[:3], np.uint16)


def say(**reply: object) -> None:
    os.write(_REPLIES, json.dumps(reply).encode() + b"\n")


def watched(call: Callable[[], Any]) -> tuple[Any, Exception | None, str]:
    """The result or the exception, and what was written to standard output and error, by C libraries too."""
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
        try:
            result, failure = call(), None
        except Exception as error:
            result, failure = None, error
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
            for descriptor in kept:
                os.close(descriptor)
        log.seek(0)
        return result, failure, log.read().decode("utf-8", "replace")


def verdict(name: str, failure: Exception | None, printed: str) -> str:
    """What is wrong with the outcome of a call; "" if nothing."""
    if printed:
        return f"{name} printed {printed[:300]!r}"
    if failure is None or (isinstance(failure, Error) and "\n" not in str(failure) and str(failure).isprintable()):
        return ""
    return f"{name} raised {type(failure).__name__}: {str(failure)[:300]!r}"


def command(path: Path, kind: str, image: io.MedicalImage | None, folder: Path) -> str:
    """Runs `segment` on the file; what is wrong with its outcome."""
    grid = image.grid if image is not None else (1, 1)
    ends = ",".join(str(n - 1) for n in grid[::-1])
    box = ",".join("0" * len(grid)) + "," + ends
    output = folder / ("mask.npz" if kind in ("npz", "tiff") else "mask.nii.gz")
    arguments = ["segment", str(path), "-o", str(output), "--bundle", str(TINY), "--box", box]
    status, failure, printed = watched(lambda: run(arguments))
    if failure is not None or status not in (0, 2) or "internal error" in printed or "Traceback" in printed:
        return f"segment: status {status}, {failure!r}, {printed[:300]!r}"
    if (status == 0) != (image is not None):
        read = "answered" if image is not None else "refused"
        return f"segment: status {status} where io.read {read}: {printed[-300:]!r}"
    errors = [line for line in printed.splitlines() if line.startswith("medsam-engine:")]
    if status == 2 and len(errors) != 1:
        return f"segment: {len(errors)} lines of error: {printed[:300]!r}"
    if status == 0 and image is not None:
        mask, _ = io.read_labels(output)
        if mask.size != np.prod(grid) or not mask.all():
            return f"segment: a mask of {mask.shape} for a grid {grid}"
    return ""


def compared(image: io.MedicalImage, other: Second) -> str:  # noqa: PLR0911
    """Where two readers differ; "" if nowhere."""
    ours, theirs = image.array, other.values
    if ours.size != theirs.size or [n for n in ours.shape if n != 1] != [n for n in theirs.shape if n != 1]:
        return f"shape {ours.shape}, second reader {theirs.shape}"
    with np.errstate(all="ignore"):
        same = np.allclose(ours, theirs.reshape(ours.shape).astype(np.float64), rtol=1e-6, atol=1e-6)
    if not same:
        return f"values {ours.ravel()[:4]}, second reader {theirs.ravel()[:4]}"
    if image.positioned and other.affine is None and image.path.suffix not in (".npz", ".tif"):
        return "a position that the second reader does not know"
    if other.affine is not None:
        if not image.positioned:
            return f"no position, second reader {other.affine.tolist()}"
        if not np.allclose(image.affine, other.affine, rtol=1e-4, atol=1e-4):
            return f"affine {image.affine.tolist()}, second reader {other.affine.tolist()}"
    elif other.spacing is not None and not np.allclose(image.spacing[: len(other.spacing)], other.spacing, rtol=1e-5):
        return f"spacing {image.spacing}, second reader {other.spacing}"
    return ""


def labels_verdict(path: Path, image: io.MedicalImage | None, kind: str) -> str:
    """read_labels gives the same values as whole numbers, or an error."""
    result, failure, printed = watched(lambda: io.read_labels(path))
    wrong = verdict("read_labels", failure, printed)
    if wrong or failure is not None or kind == "npz":
        return wrong
    if image is None or not np.array_equal(result[0], image.array):
        return "read_labels answered other values than io.read"
    return ""


def outcome(kind: str, path: Path) -> dict[str, str]:
    """What came of one file: "answer" or "error", what is wrong, and what the second reader says."""
    say(stage="io.read")
    image, failure, printed = watched(lambda: io.read(path))
    wrong = [verdict("io.read", failure, printed), labels_verdict(path, image, kind)]
    say(stage="segment")
    with tempfile.TemporaryDirectory() as folder:
        wrong.append(command(path, kind, image, Path(folder)))
    reply = {"outcome": "error" if image is None else "answer", "message": str(failure or "")}
    if image is not None:
        say(stage="second reader")
        other, refusal, _ = watched(lambda: second(kind, path))
        if refusal is not None:
            reply["refusal"] = f"{type(refusal).__name__}: {' '.join(str(refusal).split())[:200]}"
        else:
            reply["differs"] = compared(image, other)
    reply["wrong"] = "; ".join(text for text in wrong if text)
    return reply


if __name__ == "__main__":
    vars(segment)["Engine"] = StubEngine
    for line in sys.stdin:
        chosen, _, name = line.rstrip("\n").partition(" ")
        say(done=outcome(chosen, Path(name)))
