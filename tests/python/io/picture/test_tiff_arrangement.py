# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How the samples of a TIFF pixel are arranged (PlanarConfiguration)."""

import struct
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument
from medsam_engine.io import read_image

tifffile = pytest.importorskip("tifffile", reason="tifffile is not in a thin installation")


@pytest.mark.parametrize("number", [0, 3, 15])
def test_an_arrangement_of_samples_that_is_none(tmp_path: Path, number: int) -> None:
    """Pixels with their samples together were taken for planes."""
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", byteorder="<")
    known, changed = (struct.pack("<HHIHH", 284, 3, 1, value, 0) for value in (1, number))
    content = (tmp_path / "a.tif").read_bytes()
    assert content.count(known) == 1
    (tmp_path / "a.tif").write_bytes(content.replace(known, changed))
    with pytest.raises(InvalidArgument, match=f"got PlanarConfiguration {number} "):
        read_image(tmp_path / "a.tif")
