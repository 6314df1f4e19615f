# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/cpp_minimal and examples/c_minimal write the masks that Python computes."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine

Program = Callable[..., CompletedProcess[str]]


def write_pgm(path: Path, image: NDArray[np.uint8]) -> None:
    path.write_bytes(b"P5\n%d %d\n255\n" % (image.shape[1], image.shape[0]) + image.tobytes())


def read_pgm(path: Path) -> NDArray[np.uint8]:
    magic, size, largest, pixels = path.read_bytes().split(b"\n", 3)
    assert (magic, largest) == (b"P5", b"255")
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width)


@pytest.mark.parametrize("name", ["cpp_minimal", "c_minimal"])
def test_the_mask_is_that_of_python(
    name: str,
    program: Program,
    engine: Engine,
    bundle: Path,
    image: NDArray[np.uint8],
    box: tuple[int, ...],
    tmp_path: Path,
) -> None:
    write_pgm(tmp_path / "image.pgm", image)
    result = program(name, bundle, tmp_path / "image.pgm", *box, tmp_path / "mask.pgm")
    assert result.returncode == 0, result.stderr
    wanted = engine.predict(engine.encode(image), box=box).mask(0)
    assert 0.5 < wanted[20:71, 30:91].mean() < 0.9
    np.testing.assert_array_equal(read_pgm(tmp_path / "mask.pgm"), np.where(wanted, 255, 0))
    assert f"{int(wanted.sum())} pixels" in result.stdout


@pytest.mark.parametrize("name", ["cpp_minimal", "c_minimal"])
def test_errors_are_one_line(
    name: str, program: Program, bundle: Path, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    write_pgm(tmp_path / "image.pgm", image)
    for arguments, part in (
        ((bundle, tmp_path / "image.pgm", 90, 20, 30, 70), "reversed"),
        ((bundle, tmp_path / "absent.pgm", 30, 20, 90, 70), "absent.pgm"),
        ((tmp_path, tmp_path / "image.pgm", 30, 20, 90, 70), "manifest.json"),
    ):
        result = program(name, *arguments, tmp_path / "mask.pgm")
        assert result.returncode == 1
        assert part in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "mask.pgm").exists()
