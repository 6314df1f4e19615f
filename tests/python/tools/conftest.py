# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Stand-in weights, the golden cases, and one export that all the tests of the tools share."""

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="the export tools need torch: make setup")

import torch
from filelock import FileLock

from medsam_engine_tools.export import families
from medsam_engine_tools.export.export import export

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden"


class GoldenCase:
    """A folder of ../shared/golden: the published layout, stand-in weights, inputs and outputs."""

    def __init__(self, folder: Path, recipe: ModuleType) -> None:
        self.keys = folder / "keys.json"
        self.input_size: int = json.loads(self.keys.read_text())["input"]
        self.image = recipe.image
        self._recipe = recipe
        with np.load(folder / "golden.npz") as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}

    def fill(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The stand-in values of an input that has a name."""
        values: NDArray[np.float32] = self._recipe.fill(name, shape, "float32")
        return values

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(value) for name, value in self._recipe.state_dict(self.keys).items()}


def load_golden(name: str) -> GoldenCase | None:
    recipe_file = GOLDEN / "weights_recipe.py"
    if not recipe_file.is_file():
        return None
    spec = importlib.util.spec_from_file_location("weights_recipe", recipe_file)
    assert spec is not None
    assert spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return GoldenCase(GOLDEN / name, recipe)


@pytest.fixture(scope="session")
def golden_case() -> Callable[[str], GoldenCase]:
    """The golden case of a folder's name; skips the test where ../shared is absent."""

    def load(name: str) -> GoldenCase:
        case = load_golden(name)
        if case is None:
            pytest.skip("no ../shared/golden beside the project: the published outputs are not on this machine")
        return case

    return load


@pytest.fixture(scope="session")
def weights() -> dict[str, torch.Tensor]:
    """LiteMedSAM's tensors: the golden case's, or untrained ones where ../shared is absent."""
    case = load_golden("litemedsam")
    if case is not None:
        return case.weights()
    torch.manual_seed(0)
    return families.get("litemedsam").build().state_dict()


@pytest.fixture(scope="session")
def checkpoint_file(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "stand_in.pth"
    torch.save(weights, path)
    return path


@pytest.fixture(scope="session")
def exported(checkpoint_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The bundle of the stand-in weights, and the progress lines of its export. Read-only to the tests.

    Once for all workers of pytest-xdist, whose temporary folders have one parent.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, done = shared / "export" / "litemedsam", shared / "exported.json"
    with FileLock(shared / "exported.lock"):
        if not done.exists():
            folder.parent.mkdir(exist_ok=True)
            lines: list[str] = []
            export("litemedsam", checkpoint_file, folder, progress=lines.append)
            done.write_text(json.dumps(lines), encoding="utf-8")
    return folder, json.loads(done.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def bundle(exported: tuple[Path, list[str]]) -> Path:
    return exported[0]
