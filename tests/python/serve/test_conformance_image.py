# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The official client of nnInteractive's remote protocol against a running server: images and masks.

scripts/run/test_clients.sh runs this file with other versions of the client, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from protocol_client import BOX, SHAPE, connected, status_of
from served import Served

from medsam_engine import Engine, Session
from medsam_engine.serve.nninteractive.client_state import ClientOptions, window_for

# --- the image --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", "bool"])
def test_images_of_every_type(server: Served, dtype: str, small_volume: NDArray[np.uint8]) -> None:
    client = connected(server)
    image = (small_volume > 100).astype(dtype) if dtype == "bool" else small_volume.astype(dtype)
    client.set_image(image[np.newaxis], {})
    assert client.original_image_shape == (1, *SHAPE)
    client.set_target_buffer(np.zeros(SHAPE, np.uint8))
    assert client.add_bbox_interaction(BOX, True) is not None
    client.close()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 1, 8, 8), np.uint8),  # RGB cannot pass
        np.full((1, 2, 8, 8), np.nan, np.float32),
    ],
)
def test_images_that_are_refused(server: Served, image: NDArray[Any]) -> None:
    client = connected(server)
    assert status_of(client.set_image, image, {}) == 400
    client.close()


@pytest.mark.parametrize(
    "spacing", [[1, 1], [0, 1, 1], [-1, 1, 1], ["a", 1, 1], [float("nan"), 1, 1], "abc", [1, 1, True]]
)
def test_spacings_that_are_refused(server: Served, small_volume: NDArray[np.uint8], spacing: object) -> None:
    client = connected(server)
    assert status_of(client.set_image, small_volume[np.newaxis], {"spacing": spacing}) == 400
    client.close()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[[-1024, 300]]], np.int16), (None, "CT")),
        (np.array([[[-1000.0, 300]]], np.float32), (None, "CT")),
        (np.array([[[0, 1200]]], np.int16), ("percentile", None)),
        (np.array([[[0, 200]]], np.uint8), ("none", None)),
        (np.array([[[0, 1]]], np.uint8), ("full", None)),
    ],
)
def test_windows_by_the_values(values: NDArray[Any], expected: tuple[str | None, str | None]) -> None:
    assert window_for(values, ClientOptions()) == expected
    assert window_for(values, ClientOptions(window="lung")) == ("lung", None)
    assert window_for(values, ClientOptions(modality="MR")) == (None, "MR")


def test_a_ct_is_seen_through_its_window(server: Served, tiny_engine: Engine, small_volume: NDArray[np.uint8]) -> None:
    scan = small_volume.astype(np.int16) * 5 - 1000
    client = connected(server)
    client.set_do_autozoom(False)
    client.set_image(scan[np.newaxis], {})
    mask = np.zeros(SHAPE, np.uint8)
    client.set_target_buffer(mask)
    client.add_point_interaction([6, 8, 12], True)
    session = Session(tiny_engine, scan, modality="CT", encode_ahead=False)
    session.add_click("a", (12, 8), slice=6)
    np.testing.assert_array_equal(mask, session.mask("a"))
    client.close()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "int64"])
def test_target_buffers_of_every_type(client: Any, dtype: str) -> None:
    mask = np.zeros(SHAPE, dtype)
    client.set_target_buffer(mask)
    assert client.add_bbox_interaction(BOX, True) == BOX
    assert mask.sum() == 8 * 14
    assert mask.max() == 1


@pytest.mark.parametrize(
    "buffer", [np.zeros((2, 3, 4), np.uint8), np.zeros(SHAPE[1:], np.uint8), np.zeros(SHAPE, np.float32)]
)
def test_target_buffers_that_are_refused(client: Any, buffer: NDArray[Any]) -> None:
    assert status_of(client.set_target_buffer, buffer) == 400


def test_a_new_image_drops_everything(client: Any, small_volume: NDArray[np.uint8]) -> None:
    client.add_bbox_interaction(BOX, True)
    client.set_image(small_volume[np.newaxis, :8], {})
    client.set_target_buffer(np.zeros((8, *SHAPE[1:]), np.uint8))
    assert client.undo() is False
    assert client._predict() is None
