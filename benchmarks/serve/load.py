# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A client that draws on a synthetic CT; a module of its own, so that other processes can import it."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client

DEPTH, SIDE = 120, 512
KEY = "benchmark-benchmark"
SPACING = (0.8, 0.8, 2.5)  # x, y, z, mm
SLICE = 60  # through the middle of the organ
ORGAN = ((125, 180), (275, 300))  # a box there, x and y of two corners
ON_ORGAN = [(200 + 9 * (n % 5) - 18, 240 + 7 * (n // 5) - 14) for n in range(20)]  # x, y
AT_EDGE = [(200 + 3 * n - 30, 288) for n in range(20)]  # just inside of it
REACHES_40 = ((130, 196), (270, 283))  # a box whose shorter side lets one expect the object in about 40 slices


def phantom() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Air, a body, and an organ that reaches through 40 slices; no two are equal: one encode would do for both."""
    z, y, x = np.ogrid[:DEPTH, :SIDE, :SIDE]
    values = np.full((DEPTH, SIDE, SIDE), -1000, np.int16)
    values[np.broadcast_to(((x - 256) / 200) ** 2 + ((y - 256) / 150) ** 2 < 1, values.shape)] = -80
    values[((x - 200) / 70) ** 2 + ((y - 240) / 55) ** 2 + ((z - 60) / 26) ** 2 < 1] = 120
    noise = np.random.default_rng(0).integers(-25, 25, values.shape, np.int16)
    values += noise
    return values


def connected(port: int) -> Any:
    """A client that has claimed a session."""
    return Client(f"http://127.0.0.1:{port}", api_key=KEY)


def open_image(port: int, values: np.ndarray[Any, Any]) -> Any:
    """A client with the image and a target buffer."""
    client = connected(port)
    client.set_image(values[np.newaxis], {"spacing": [2.5, 0.8, 0.8]})
    client.set_target_buffer(np.zeros(values.shape, np.uint8))
    return client


def draw(port: int, seed: int, stop: Any) -> None:
    """A client that draws without a pause, and now and then sends an image; in a process of its own."""
    values = phantom()
    rng = np.random.default_rng(seed)
    client = open_image(port, values)
    while not stop.is_set():
        z = int(rng.integers(20, 100))
        client.add_bbox_interaction([[z, z + 1], [180, 300], [120, 280]], True)
        client.add_point_interaction([z, 240, 200], True)
        if rng.random() < 0.2:
            client.set_image(values[np.newaxis], {"spacing": [2.5, 0.8, 0.8]})
            client.set_target_buffer(np.zeros(values.shape, np.uint8))
    client.close()
