# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A known object in a volume, and ways in which a scanner may have stored it."""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPE = (7, 80, 96)  # z, y, x
# The object in array order, x0, y0, z0, x1, y1, z1: off every middle, so that no flip leaves it where it is.
BALL = (56, 14, 1, 80, 40, 3)


def ball(dtype: Any = np.int16) -> np.ndarray[Any, Any]:
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    x0, y0, z0, x1, y1, z1 = BALL
    middle = [(low + high) / 2 for low, high in ((x0, x1), (y0, y1), (z0, z1))]
    radius = [(high - low) / 2 + 0.5 for low, high in ((x0, x1), (y0, y1), (z0, z1))]
    inside = sum(((v - m) / r) ** 2 for v, m, r in zip((x, y, z), middle, radius, strict=True)) <= 1
    noise = np.random.default_rng(3).integers(0, 20, SHAPE)
    return (np.where(inside, 180, -60) + noise).astype(dtype)


def affine(kind: str) -> np.ndarray[Any, Any]:
    """NIfTI's, RAS."""
    linear = {
        "RAS": np.diag([1.0, 1.0, 2.0]),
        "LPS": np.diag([-1.0, -1.0, 2.0]),
        "flipped": np.diag([1.0, -1.0, -2.0]),
        "sagittal": np.array([[0, 0, 2.0], [-1.0, 0, 0], [0, -1.0, 0]]),
        "anisotropic": np.diag([0.6, 1.4, 5.0]),
    }.get(kind)
    if linear is None:  # oblique
        turn, tilt = np.radians(25), np.radians(15)
        about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        linear = about_z @ about_x @ np.diag([1.0, 1.0, 2.0])
    whole = np.eye(4)
    whole[:3, :3] = linear
    whole[:3, 3] = (-30, 12, 7)
    return whole


def dice(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


KINDS = ("LPS", "RAS", "flipped", "sagittal", "oblique", "anisotropic")


def corners(margin: int = 2) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of a box round the object in an axial slice."""
    x0, y0, _, x1, y1, _ = BALL
    return (x1 + margin, y0 - margin), (x0 - margin, y1 + margin)
