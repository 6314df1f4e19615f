# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine against every baseline: whole processes, stages, peak memory, and whether the masks are the same.

    python -m benchmarks.compare --bundle BUNDLE --program medsam-npz --baseline openvino_baseline --precision auto

Writes results.json, README.md and plot.png into benchmarks/reports/<date>-<name>/ (protocol:
benchmarks/README.md). Needs the dependency group `bench`, torch, and ../shared/data/open.
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.compare.harness.agreement import Agreement, compare_masks
from benchmarks.compare.harness.bars import must_show
from benchmarks.compare.harness.cases import Case, prepare_cases, prepare_stage_case
from benchmarks.compare.harness.markdown import page
from benchmarks.compare.harness.measure import measure_processes, measure_stages
from benchmarks.compare.harness.plot import write_plot
from benchmarks.compare.harness.results import Results
from benchmarks.compare.harness.systems import ROOT, Settings, System, all_systems, environment

from medsam_engine.measure.machine import describe_machine

# Turns: a case's runs, a stage's turns (measure.py says how many calls a turn has).
FULL = {"one": 11, "cells": 5, "brain": 3, "brain-part": 1, "encode": 15, "prompt": 10, "batch": 7}
QUICK = {"one": 3, "cells": 2, "brain": 1, "brain-part": 1, "encode": 3, "prompt": 2, "batch": 2}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "build/bundles/litemedsam")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/cpp/apps/medsam-npz")
    built = "build/release/benchmarks/compare/baselines/cpp_openvino/openvino_baseline"
    parser.add_argument("--baseline", type=Path, default=ROOT / built)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    released = cache / "medsam-engine" / "checkpoints" / "litemedsam.pth"
    parser.add_argument("--checkpoint", type=Path, default=released, help="what `medsam-engine fetch litemedsam` got")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/open")
    parser.add_argument("--work", type=Path, default=ROOT / "build/benchmarks")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/reports")
    parser.add_argument("--name", default="compare", help="of the report")
    parser.add_argument("--precision", default="auto", help="of the engine; f32 is measured besides")
    parser.add_argument("--threads", type=int, default=0, help="of every system; 0 = its own choice")
    parser.add_argument("--quick", action="store_true", help="few repeats")
    parser.add_argument(
        "--budget", type=float, default=240, help="seconds a system gets for one case after its first run"
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=["a:brain"],
        metavar="[SYSTEM:]CASE",
        help="one, cells, brain, brain-part, encode, prompt, batch, or a system's part of one; SYSTEM: leaves it out",
    )
    parser.add_argument("--run-all", action="store_true", help="also (a) on the whole brain volume: half an hour")
    return parser.parse_args()


def _prepare_models(s: Settings) -> None:
    """Exports the published graphs once."""
    if not (s.plain / "decoder.onnx").is_file():
        command = [sys.executable, "-m", "benchmarks.compare.baselines.export_plain", s.checkpoint, s.plain]
        subprocess.run([str(word) for word in command], env=environment(), check=True)
    if not (s.plain / "decoder.xml").is_file():
        command = [sys.executable, "-m", "benchmarks.compare.baselines.to_openvino", s.plain]
        subprocess.run([str(word) for word in command], env=environment(), check=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _models(s: Settings) -> dict[str, str]:
    """What proves that all sides have the same weights. SystemExit where they have not."""
    manifest = json.loads((s.bundle / "manifest.json").read_text(encoding="utf-8"))
    checkpoint = _sha256(s.checkpoint)
    source = manifest["provenance"]["checkpoint_sha256"]
    if source != checkpoint:
        raise SystemExit(f"--checkpoint: got SHA-256 {checkpoint}, the bundle's is {source}; give the same weights")
    hashes = {f"bundle, {role}": model["sha256"] for role, model in manifest["models"].items()}
    hashes |= {f"published graph, {name}": _sha256(s.plain / f"{name}.onnx") for name in ("encoder", "decoder")}
    return {"checkpoint of all": checkpoint, "exporter": manifest["provenance"]["exporter"], **hashes}


def _precisions(s: Settings) -> tuple[str, str]:
    """What the precision asked for came to: a description, and the encoder's."""
    from medsam_engine import Engine

    info = Engine(s.bundle, precision=s.precision, threads=s.threads, cache_dir=s.work / "cache" / "ours").info
    encoder, decoder = info.encoder_precision, info.decoder_precision
    return f"{s.precision}: encoder {encoder}, decoder {decoder}; {info.backend} on {info.device}", encoder


class _Bounds:
    """Milliseconds that the matrix products of our encoder take at this processor's rate.

    The rate is measured between the turns of the encodes that are held against it, so that a noisy machine hits both
    alike, and its median counts as theirs does.
    """

    def __init__(self, settings: Settings, precisions: set[str]) -> None:
        from medsam_engine_tools import roofline

        graph, _ = roofline.prepare(settings.bundle / "encoder.onnx", 1)
        self._flops = roofline.count(graph).flops
        self._threads = settings.threads
        self._rates: dict[str, list[float]] = {precision: [] for precision in precisions}

    def measure(self) -> None:
        """One more turn."""
        from medsam_engine_tools import roofline

        for precision, rates in self._rates.items():
            rates.append(roofline.gemm_rate(roofline.LARGE, precision, self._threads, repeats=3)[0])

    def milliseconds(self) -> dict[str, float]:
        """By precision."""
        return {name: self._flops / statistics.median(rates) / 1e6 for name, rates in self._rates.items() if rates}


def _chosen(systems: dict[str, System], skip: list[str], case: str) -> dict[str, System]:
    left_out = {case, *(f"{key}:{case}" for key in systems), *(f"{key}:" for key in systems)} & set(skip)
    if case in left_out:
        return {}
    return {key: s for key, s in systems.items() if not {f"{key}:{case}", f"{key}:"} & left_out}


def _agreements(runs: Path, case: Case, systems: list[str], published: Path | None) -> dict[str, Agreement]:
    """Every system against ours in f32, and ours in f32 against the published script's masks where they are at hand."""
    exact = "ours-f32" if "ours-f32" in systems else "ours"
    if exact not in systems:
        return {}
    own = runs / exact / case.file.name
    pairs = {f"{key} against {exact}": runs / key / case.file.name for key in systems if key != exact}
    if published is not None and published.is_file():
        pairs[f"{exact} against the published script's own"] = published
    return {title: compare_masks(own, other, case.objects) for title, other in pairs.items()}


PACKAGES = ("openvino", "onnxruntime", "torch", "numpy", "opencv-python-headless")
PUBLISHED = {"cells": "2DBox_Microscopy_stardist_1.npz", "brain": "3DBox_MR_voxelmorph_1.npz"}


def main() -> None:
    arguments = _arguments()
    settings = Settings(
        arguments.program, arguments.bundle, arguments.work / "plain", arguments.checkpoint, arguments.baseline,
        arguments.work, arguments.precision, arguments.threads,
    )  # fmt: skip
    skip = [word for word in arguments.skip if not (arguments.run_all and word == "a:brain")]
    turns = QUICK if arguments.quick else FULL
    _prepare_models(settings)
    cases = prepare_cases(arguments.data, arguments.work / "cases")
    stage_case = prepare_stage_case(arguments.data, arguments.work / "cases")
    systems = all_systems(settings)
    in_force, encoder_precision = _precisions(settings)
    told = {
        "precision of ours": in_force,
        "threads": str(arguments.threads or "every system's own choice"),
        "budget": f"{arguments.budget:g} s a system and case",
        "left out": ", ".join(skip) or "nothing",
    }
    titles = {key: system.title for key, system in systems.items() if f"{key}:" not in skip}
    results = Results(arguments.name, describe_machine(PACKAGES), told, _models(settings), titles, cases)
    for case in cases.values():
        chosen = _chosen(systems, skip, case.key)
        if case.part_of:  # for (a), and for ours to compare masks with
            chosen = {key: s for key, s in chosen.items() if key == "a" or key.startswith("ours")}
        if not chosen or (case.part_of and "a" not in chosen):
            continue
        runs = arguments.work / "runs" / case.key
        warm_up = case.key in ("one", "cells")
        results.processes[case.key] = measure_processes(chosen, case, runs, turns[case.key], arguments.budget, warm_up)
        name = PUBLISHED.get(case.key)
        published = ROOT.parent / "shared/reference/litemedsam/open" / name if name else None
        results.agreement[case.key] = _agreements(runs, case, list(chosen), published)
    bounds = _Bounds(settings, {"f32", encoder_precision})
    for stage in ("encode", "prompt", "batch"):
        chosen = _chosen(systems, skip, stage)
        if chosen:
            between = bounds.measure if stage == "encode" else lambda: None
            results.stages |= measure_stages(chosen, stage_case, {stage: turns[stage]}, between)
    results.bounds_ms = bounds.milliseconds()
    results.machine["load average (1 minute), after"] = f"{os.getloadavg()[0]:.2f}"
    folder = arguments.out / f"{dt.date.today().isoformat()}-{arguments.name}"
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "results.json")
    bars = must_show(results, encoder_precision)
    (folder / "README.md").write_text(page(results, bars, []), encoding="utf-8")
    write_plot(results, folder / "plot.png")
    print(f"{folder / 'README.md'}")


if __name__ == "__main__":
    main()
