# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The same weights in PyTorch on the same device: eager in f32 and f16, torch.compile in f16; encode and prompts.

Inputs lie on the device before the clock starts and outputs stay there, which favors PyTorch: the engine's times
beside them include pixels going over and ratings coming back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from benchmarks.gpu.times import timed
from torch import Tensor

from medsam_engine_tools.export.family import Graph

MODES: Mapping[str, tuple[torch.dtype, bool]] = {  # arithmetic of matrix products and convolutions; torch.compile
    "eager_f32": (torch.float32, False),
    "eager_f16": (torch.float16, False),
    "compile_f16": (torch.float16, True),
}
Report = dict[str, Any]
WARM_UP = 5  # in which torch.compile works


def inputs_of(graph: Graph, prompts: int, device: torch.device) -> list[Tensor]:
    """The inputs of the graph's first case for one image and so many prompts, a box and a mask each."""
    made = []
    for spec, value in zip(graph.inputs, graph.cases[0], strict=True):
        given = value[:1] if isinstance(spec.shape[0], str) else value
        if spec.name in {"point_coords", "point_labels"}:
            given = given[:, :2]
        if len(spec.shape) >= 2 and isinstance(spec.shape[0], str) and graph.key != "encoder":
            given = given.expand(prompts, *given.shape[1:])
        made.append(given.contiguous().to(device))
    return made


def finish(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _run(module: Callable[..., object], inputs: Sequence[Tensor], dtype: torch.dtype, device: torch.device) -> object:
    reduced = dtype != torch.float32
    with torch.inference_mode(), torch.autocast(device.type, dtype) if reduced else contextlib.nullcontext():
        return module(*inputs)


def measure_graphs(
    graphs: Sequence[Graph], device: str, batches: Sequence[int], repeats: int, modes: Iterable[str] = tuple(MODES)
) -> Report:
    """Times of every mode; one that PyTorch cannot run says why instead, which is no fault of the engine's."""
    place = torch.device(device)
    by_key = {graph.key: graph for graph in graphs}
    report: Report = {"torch": torch.__version__, "cudnn_tf32": torch.backends.cudnn.allow_tf32}
    for mode in modes:
        dtype, compiled = MODES[mode]
        found: Report = {}
        try:
            for key, prompts in [("encoder", 1), *(("decoder", count) for count in batches)]:
                module = by_key[key].module.to(place)
                function = torch.compile(module) if compiled else module
                inputs = inputs_of(by_key[key], prompts, place)
                name = "encode" if key == "encoder" else f"prompt_{prompts}"
                found[name] = timed(
                    partial(_run, function, inputs, dtype, place), repeats, partial(finish, place), WARM_UP
                )
        except Exception as error:  # anything: from the compiler, the driver, memory
            found["failed"] = f"{type(error).__name__}: {error}"[:500]
        report[mode] = found
    if place.type == "cuda":
        report["memory_mb"] = torch.cuda.max_memory_allocated(place) / 1e6
    return report
