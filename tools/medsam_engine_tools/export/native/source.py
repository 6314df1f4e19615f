# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The arrays of a checkpoint as a native network takes them.

An architecture names every array that its published file has, with its shape, where it makes the kernels' tensors of
them. So one piece of code is both: with a checkpoint's arrays it gives the tensors, with none the checkpoint's layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Shape = tuple[int, ...]
Array = NDArray[np.float64]
Named = Iterator[tuple[str, Array]]


@dataclass(frozen=True)
class Source:
    """The arrays below a prefix of names."""

    take: Callable[[str, Shape], Array]
    prefix: str = ""

    def below(self, name: str) -> Source:
        """The arrays below a longer prefix."""
        return Source(self.take, f"{self.prefix}{name}.")

    def array(self, name: str, *shape: int) -> Array:
        """The array of that name, whose shape the architecture says, in f64."""
        return self.take(self.prefix + name, shape)


def of_arrays(arrays: Arrays) -> Source:
    """Those of a checkpoint, which must have the layout that was asked for (checkpoint_names.expect_layout)."""
    # By way of f32: the weights that are folded are those of the graphs, whatever the file keeps them in.
    return Source(lambda name, _: arrays[name].astype(np.float32).astype(np.float64))


def recorder(layout: dict[str, Shape]) -> Source:
    """Zeros of any shape, without memory for them; `layout` gets what is taken."""

    def take(name: str, shape: Shape) -> Array:
        layout[name] = shape
        return np.broadcast_to(np.float64(0), shape)

    return Source(take)
