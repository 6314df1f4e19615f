# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A family's model as native networks: what its checkpoint must hold, and the files that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medsam_engine_tools.export.family import ModelTensors
from medsam_engine_tools.export.native import source, weights_file
from medsam_engine_tools.export.native.source import Arrays, Named, Shape, Source


class Network(Protocol):
    """One architecture with its sizes."""

    @property
    def architecture(self) -> str:
        """Its name, which the native backend knows (cpp/src/backends/native/architecture.hpp)."""

    def entries(self) -> dict[str, Any]:
        """What the shapes of its tensors do not determine, for the file's header."""

    def tensors(self, checkpoint: Source) -> Named:
        """Every tensor of its file, by name; takes every array of its part of the checkpoint."""


@dataclass(frozen=True)
class NativeModel:
    """The networks by stage ("encoder", "decoder"), and the tensors of each model of the bundle, by its name."""

    networks: Mapping[str, Network]
    models: Mapping[str, ModelTensors]

    def layout(self) -> dict[str, Shape]:
        """The names and shapes of the published checkpoint's tensors."""
        layout: dict[str, Shape] = {}
        recorder = source.recorder(layout)
        for network in self.networks.values():
            for _ in network.tensors(recorder):
                pass
        return layout

    def stage(self, model: str) -> str:
        """Which of the networks computes the model of that name."""
        return "encoder" if model == "encoder" else "decoder"

    def file_name(self, stage: str) -> str:
        """The name of the stage's file."""
        return f"{stage}.fused.safetensors"

    def write(self, arrays: Arrays, folder: Path) -> dict[str, Path]:
        """Writes a file for each stage into `folder`; their paths. `arrays` must have the layout; ExportError."""
        paths = {}
        for stage, network in self.networks.items():
            paths[stage] = folder / self.file_name(stage)
            tensors = dict(network.tensors(source.of_arrays(arrays)))
            paths[stage].write_bytes(weights_file.content(network.architecture, network.entries(), tensors))
        return paths
