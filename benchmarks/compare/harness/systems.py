# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The systems that are compared, as command lines."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

Command = list[str | Path]


@dataclass(frozen=True)
class Settings:
    """Where everything is, and what all systems share."""

    program: Path
    """medsam-npz."""
    bundle: Path
    plain: Path
    """Folder that export_plain.py and to_openvino.py write."""
    checkpoint: Path
    baseline: Path
    """openvino_baseline."""
    work: Path
    precision: str
    threads: int


@dataclass(frozen=True)
class System:
    """One system: how it runs a folder, and how it times its stages."""

    key: str
    title: str
    folder: Callable[[Path, Path], Command]
    stages: Callable[[Path], Command]


def environment() -> dict[str, str]:
    """This process's, with the project's packages importable. Threads are told to every system by its own option."""
    paths = [str(ROOT), str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _engine(key: str, precision: str, s: Settings) -> System:
    words: Command = ["--bundle", s.bundle, "--precision", precision, "--threads", str(s.threads)]
    words += ["--cache-dir", s.work / "cache" / key]
    run: Command = [s.program, *words, "--profile", "litemedsam", "--overwrite", "--quiet"]
    return System(
        key,
        f"medsam-engine, {precision}",
        lambda cases, out: [*run, "-i", cases, "-o", out],
        lambda case: [sys.executable, "-m", "benchmarks.compare.harness.engine_stages", *words, "--stages", case],
    )


def _baseline(key: str, title: str, start: Command, model: Path, s: Settings) -> System:
    words = [*start, "--model", model, "--cache-dir", s.work / "cache" / key, "--threads", str(s.threads)]
    return System(
        key,
        title,
        lambda cases, out: [*words, "-i", cases, "-o", out],
        lambda case: [*words, "--stages", case],
    )


def _python(module: str) -> Command:
    return [sys.executable, "-m", f"benchmarks.compare.baselines.{module}"]


def all_systems(s: Settings) -> dict[str, System]:
    """By key: ours in the precision asked for and in f32, then the baselines, the strongest first."""
    systems = [_engine("ours", s.precision, s)]
    if s.precision != "f32":
        systems.append(_engine("ours-f32", "f32", s))
    systems += [
        _baseline("f", "(f) OpenVINO bf16, tuned, Python", _python("openvino_tuned_pipeline"), s.plain, s),
        _baseline("f-f32", "(f) in f32", [*_python("openvino_tuned_pipeline"), "--precision", "f32"], s.plain, s),
        _baseline("d", "(d) OpenVINO f32, C++", [s.baseline], s.plain, s),
        _baseline("c", "(c) OpenVINO f32, Python", _python("openvino_pipeline"), s.plain, s),
        _baseline("e", "(e) ONNX Runtime, optimized, Python", _python("onnxruntime_optimized_pipeline"), s.plain, s),
        _baseline("b", "(b) ONNX Runtime, Python", _python("onnxruntime_pipeline"), s.plain, s),
        _baseline("a", "(a) PyTorch, as published", _python("pytorch_pipeline"), s.checkpoint, s),
    ]
    return {system.key: system for system in systems}
