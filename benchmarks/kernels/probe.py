# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The test-only kernel probe (tests/cpp/kernels/pixels/probe.cpp) through ctypes."""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERPOLATIONS = {"area": 0, "linear": 1, "cubic": 2, "spline": 3, "antialiased": 4}
NORMALIZE = {"min_max": 0, "min_max_padded": 1, "mean_std": 2}
PIXEL_TYPES = {"uint8": 0, "uint16": 1, "int16": 2, "float32": 3}
LABEL_TYPES = {"uint8": 0, "uint16": 1, "uint32": 2}


class Pixels(ct.Structure):
    """medsam::kernels::Pixels."""

    _fields_ = [
        ("data", ct.c_void_p),
        ("type", ct.c_uint8),
        ("height", ct.c_int64),
        ("width", ct.c_int64),
        ("channels", ct.c_int),
        ("row_stride", ct.c_int64),
    ]


class ResizeNormalizeParams(ct.Structure):
    """medsam::kernels::ResizeNormalizeParams."""

    _fields_ = [
        ("new_height", ct.c_int64),
        ("new_width", ct.c_int64),
        ("out_size", ct.c_int64),
        ("interpolation", ct.c_uint8),
        ("normalize", ct.c_uint8),
        ("min_range", ct.c_double),
        ("mean", ct.c_float * 3),
        ("stddev", ct.c_float * 3),
    ]


class UpsampleThresholdParams(ct.Structure):
    """medsam::kernels::UpsampleThresholdParams."""

    _fields_ = [
        ("logits", ct.c_void_p),
        ("logits_stride", ct.c_int64),
        ("unpadded_height", ct.c_int64),
        ("unpadded_width", ct.c_int64),
        ("height", ct.c_int64),
        ("width", ct.c_int64),
        ("threshold", ct.c_float),
        ("out", ct.c_void_p),
        ("label_type", ct.c_uint8),
        ("out_row_stride", ct.c_int64),
        ("label", ct.c_uint32),
    ]


class MaskStats(ct.Structure):
    """medsam::kernels::MaskStats."""

    _fields_ = [(name, ct.c_int64) for name in ("area", "x0", "y0", "x1", "y1")]


class Probe:
    """The kernels of one build, by table name."""

    def __init__(self, library: Path) -> None:
        """Load the probe library; OSError when it is missing."""
        self._lib = ct.CDLL(str(library))
        self._lib.probe_table_name.restype = ct.c_char_p

    def tables(self) -> list[str]:
        """Names of the tables this processor runs, scalar first, best last."""
        names: list[str] = []
        while (name := self._lib.probe_table_name(len(names))) is not None:
            names.append(name.decode())
        return names

    def resize_normalize(
        self,
        table: str,
        image: NDArray[Any],
        new_size: tuple[int, int],
        out: NDArray[np.float32],
        interpolation: str = "area",
        normalize: str = "min_max",
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        stddev: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> Callable[[], bool]:
        """Prepare a call on image (H, W[, 3]) into out (3, S, S) f32; new_size is (height, width).

        Returns a function that runs the kernel: False when it met a non-finite value. The arrays must outlive it.
        """
        pixels = Pixels(
            image.ctypes.data,
            PIXEL_TYPES[image.dtype.name],
            image.shape[0],
            image.shape[1],
            image.shape[2] if image.ndim == 3 else 1,
            image.strides[0],
        )
        params = ResizeNormalizeParams(
            *new_size,
            out.shape[1],
            INTERPOLATIONS[interpolation],
            NORMALIZE[normalize],
            1e-8,
            (ct.c_float * 3)(*mean),
            (ct.c_float * 3)(*stddev),
        )
        function = self._lib.probe_resize_normalize
        arguments = (self._name(table), ct.byref(pixels), ct.byref(params), ct.c_void_p(out.ctypes.data))
        return lambda: bool(function(*arguments))

    def upsample_threshold(
        self,
        table: str,
        logits: NDArray[np.float32],
        crop: tuple[int, int],
        out: NDArray[Any],
        label: int = 1,
        threshold: float = 0.0,
    ) -> Callable[[], tuple[int, int, int, int, int]]:
        """Prepare a call that writes label into out (H, W) from logits (h, w) cropped to crop (height, width).

        Returns a function that runs the kernel: (area, x0, y0, x1, y1). The arrays must outlive it.
        """
        params = UpsampleThresholdParams(
            logits.ctypes.data,
            logits.strides[0] // 4,
            *crop,
            *out.shape,
            threshold,
            out.ctypes.data,
            LABEL_TYPES[out.dtype.name],
            out.strides[0],
            label,
        )
        stats = MaskStats()
        function = self._lib.probe_upsample_threshold
        arguments = (self._name(table), ct.byref(params), ct.byref(stats))

        def run() -> tuple[int, int, int, int, int]:
            function(*arguments)
            return (stats.area, stats.x0, stats.y0, stats.x1, stats.y1)

        return run

    def _name(self, table: str) -> bytes:
        if table not in self.tables():
            raise ValueError(f"table: got {table}, expected one of {self.tables()}")
        return table.encode()
