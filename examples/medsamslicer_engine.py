# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""medsam-engine as an engine of MedSAMSlicer, the 3D Slicer module of the MedSAM project.

That module has no place for plug-ins. Install medsam-engine into Slicer's Python, copy this file into the folder
``engines`` of its ``medsam_interface``, and change two of its files. In ``interface_impl.py``, import the class and
give ``engine_classes`` an entry::

    from .engines.medsamslicer_engine import MedSAMSlicerEngine
    'medsam-engine': MedSAMSlicerEngine,

In ``MedSAMLite.py``, give ``engine_list`` an entry like that of 'Medficient SAM', whose 'default checkpoint' is the
folder of a bundle (`medsam-engine fetch litemedsam`). The module's own updater overwrites both files. Written for its
last commit, of October 2024, and not run in Slicer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.windows import apply_window


class MedSAMSlicerEngine:
    """What MedSAMSlicer calls, on its main thread.

    Attributes:
        MedSAM_CKPT_PATH: folder of a bundle, or its manifest.json; set by the module.
        speed_level: set by the module; ignored, since every slice is segmented.
        image: the volume as set_image() left it, (D, H, W) or (1, H, W, 3) uint8.
        embeddings: an entry per slice that set_image() has come to: its number if it was encoded, else None.
    """

    MedSAM_CKPT_PATH: str = ""
    speed_level: int = 1

    def __init__(self) -> None:
        self.image: NDArray[np.uint8] | None = None
        self.embeddings: list[int | None] = []
        self._engine: Engine | None = None

    def load_model(self) -> None:
        """Loads the bundle. Its cache keeps the embeddings that set_image() makes: 2 MiB a slice for LiteMedSAM."""
        path = Path(self.MedSAM_CKPT_PATH)
        folder = path.parent if path.is_file() else path
        self._engine = Engine(folder, precision="auto", cache_bytes=2 << 30, embedding_storage="f16")

    def set_image(
        self,
        arr: NDArray[np.generic],
        wmin: float,  # noqa: ARG002 (MedSAMSlicer's own engines ignore both and take the array's range, as is done here)
        wmax: float,  # noqa: ARG002 (as wmin)
        zmin: int,
        zmax: int,
        recurrent_func: Callable[[], object] | None = None,
    ) -> None:
        """Takes a volume (D, H, W) or one RGB image (1, H, W, 3); encodes slices zmin to zmax, or all if zmax is -1."""
        color = arr.ndim == 4
        if color and (arr.shape[0] != 1 or arr.shape[-1] != 3 or arr.dtype != np.uint8):
            raise InvalidArgument(f"image: got {arr.shape} {arr.dtype}, expected gray slices or one RGB image in uint8")
        self.image = np.ascontiguousarray(arr if color else apply_window(arr, "full"), np.uint8)
        self.embeddings = []
        for number, pixels in enumerate(self.image):
            if recurrent_func is not None:
                recurrent_func()  # Slicer's processEvents: the window stays alive
            wanted = zmax == -1 or zmin <= number <= zmax
            if wanted:
                self._loaded().encode(pixels)
            self.embeddings.append(number if wanted else None)

    def get_progress(self) -> dict[str, int]:
        """How many slices there are, and how many set_image() has come to."""
        layers = 100 if self.image is None else len(self.image)
        return {"layers": layers, "generated_embeds": len(self.embeddings)}

    def infer(self, slice_idx: int, bbox: Sequence[int], zrange: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
        """Masks (H, W) of the slices of zrange, both ends inclusive, for the box x0, y0, x1, y1 of slice slice_idx.

        Where slice_idx is the middle of the range, as far as that lies in the volume, the box is answered as a box of
        the volume, whose published rule begins there; otherwise the box is a prompt of slice_idx and is propagated
        through the range. What lies beyond the volume is cut off; a box or range that lies wholly outside is refused.
        """
        if self.image is None:
            raise InvalidArgument("image: got none, expected set_image() before infer()")
        depth, height, width = self.image.shape[:3]
        x0, x1 = _cut("box along x", bbox[0], bbox[2], width)
        y0, y1 = _cut("box along y", bbox[1], bbox[3], height)
        z0, z1 = _cut("zrange", zrange[0], zrange[1], depth)
        if not z0 <= slice_idx <= z1:
            raise InvalidArgument(f"slice_idx: got {slice_idx}, expected {z0} to {z1}, the range of the box")
        if depth == 1:
            return {0: self._loaded().segment(self.image[0], [(x0, y0, x1, y1)]) == 1}
        if slice_idx == (z0 + z1) // 2:
            found = self._loaded().segment_volume(self.image, [(x0, y0, z0, x1, y1, z1)]) == 1
        else:
            session = Session(self._loaded(), self.image, encode_ahead=False)
            session.add_box("object", (x0, y0, x1, y1), slice=slice_idx)
            session.propagate("object", first=z0, last=z1)
            found = session.mask("object")
        return {number: found[number] for number in range(z0, z1 + 1)}

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise InvalidArgument("model: got none, expected load_model() before set_image()")
        return self._engine


def _cut(name: str, first: int, last: int, size: int) -> tuple[int, int]:
    """The part of a range, both ends inclusive, that lies in 0 to size - 1."""
    if first > last or last < 0 or first >= size:
        raise InvalidArgument(f"{name}: got {first} to {last}, expected a range that overlaps 0 to {size - 1}")
    return max(first, 0), min(last, size - 1)
