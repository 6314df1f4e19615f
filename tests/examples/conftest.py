# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The built examples (scripts/run/test_examples.sh), the bundle and what the examples read."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from annotator_run import itk_image
from numpy.typing import NDArray

from medsam_engine import Engine

ROOT = Path(__file__).resolve().parents[2]

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def bundle() -> Path:
    """$MEDSAM_ENGINE_BUNDLE, else the one that `make bundle` writes."""
    path = Path(os.environ.get("MEDSAM_ENGINE_BUNDLE", ROOT / "build" / "bundles" / "litemedsam"))
    if not (path / "manifest.json").is_file():
        pytest.skip(f"no bundle at {path}; run `make bundle`")
    return path


@pytest.fixture(scope="session")
def engine(bundle: Path) -> Engine:
    return Engine(bundle)


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs a built example, named first, with the arguments that follow."""
    built = Path(os.environ.get("MEDSAM_ENGINE_EXAMPLES", ROOT / "build" / "examples"))

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        path = built / name / name
        if not path.is_file():
            pytest.skip(f"{path} is not built; run `make examples`")
        command = [str(path), *map(str, arguments)]
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    """A bright ellipse inside the box (30, 20, 90, 70) on noise, (96, 128) uint8."""
    y, x = np.mgrid[:96, :128]
    ellipse = ((x - 60) / 28) ** 2 + ((y - 45) / 23) ** 2 < 1
    noise = np.random.default_rng(7).integers(0, 40, ellipse.shape)
    pixels: NDArray[np.uint8] = (np.where(ellipse, 190, 40) + noise).astype(np.uint8)
    return pixels


BOX = (30, 20, 90, 70)


@pytest.fixture(scope="session")
def box() -> tuple[int, int, int, int]:
    return BOX


@pytest.fixture(scope="session")
def exact(bundle: Path) -> Engine:
    return Engine(bundle, precision="f32")


@pytest.fixture(scope="session")
def volume() -> NDArray[np.int16]:
    """Two bright balls on noise, (17, 64, 80); the values need a window."""
    z, y, x = np.mgrid[:17, :64, :80]
    values = np.random.default_rng(7).integers(250, 350, z.shape)
    values[(x - 40) ** 2 + (y - 32) ** 2 + (3 * (z - 8)) ** 2 < 15**2] = 1500
    values[(x - 14) ** 2 + (y - 14) ** 2 + (3 * (z - 4)) ** 2 < 9**2] = 1200
    typed: NDArray[np.int16] = values.astype(np.int16)
    return typed


@pytest.fixture(scope="session")
def scan(volume: NDArray[np.int16], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    sitk.WriteImage(itk_image(volume), str(path))
    return path
