# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Baseline (e): as (b), with ONNX Runtime's own transformer optimizer and its session options at their most.

    python -m benchmarks.compare.baselines.onnxruntime_optimized_pipeline -i CASES -o MASKS --model FOLDER

FOLDER holds what export_plain.py writes; --cache-dir FOLDER keeps the optimized graphs. Needs onnxruntime, onnx and
sympy (dependency group `bench`, extra `export`).
"""

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

import onnxruntime
from benchmarks.compare.baselines.onnxruntime_pipeline import OnnxRuntimeModel
from benchmarks.compare.baselines.pipeline import main


def optimized(source: Path) -> bytes:
    """The ONNX file with the optimizer's fusions of a vision transformer.

    It finds GELU, bias and GELU, and sums before layer norms; no attention, since TinyViT's queries, keys and values
    are interleaved and its scores have a table of biases ("sam2" finds none either, and fewer of the others). Its layer
    norm fusion is off: it takes SAM's LayerNorm2d, over the channels, for one over the last axis, after which the
    embedding is off by half of its largest value (onnxruntime 1.32). torch has written the other layer norms as such.
    """
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("vit")
    options.enable_layer_norm = False
    # Heads and widths differ by stage: 0 has them told from the graph.
    with redirect_stdout(sys.stderr):  # it prints, and our answers are on standard output
        graph = optimizer.optimize_model(str(source), "vit", 0, 0, optimization_options=options, opt_level=0)
    content: bytes = graph.model.SerializeToString()
    return content


def session(source: Path, cache: Path | None, threads: int) -> onnxruntime.InferenceSession:
    """A session on `source`, optimized; what it is then is kept in `cache`, so that a start only reads it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: a thread per physical core
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = True
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL  # the graphs have no branches to run apart
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.log_severity_level = 3  # it warns of each file that is for this machine alone, as one of a cache is
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL
    providers = ["CPUExecutionProvider"]
    if cache is None:
        return onnxruntime.InferenceSession(optimized(source), options, providers=providers)
    made = source.stat()
    kept = cache / f"{source.stem}-{made.st_size}-{made.st_mtime_ns}-{onnxruntime.__version__}.onnx"
    if kept.is_file():
        options.graph_optimization_level = levels.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(kept, options, providers=providers)
    cache.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    options.optimized_model_filepath = str(part)
    loaded = onnxruntime.InferenceSession(optimized(source), options, providers=providers)
    part.replace(kept)
    return loaded


class OptimizedOnnxRuntimeModel(OnnxRuntimeModel):
    """Baseline (b)'s model with other sessions."""

    def _session(self, source: Path, arguments: argparse.Namespace) -> onnxruntime.InferenceSession:
        return session(source, arguments.cache_dir, arguments.threads)


if __name__ == "__main__":
    main(str(__doc__), OptimizedOnnxRuntimeModel, "folder of encoder.onnx and decoder.onnx", reuse_embeddings=True)
