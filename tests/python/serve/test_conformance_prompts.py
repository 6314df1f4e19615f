# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The official client of nnInteractive's remote protocol against a running server: prompts.

scripts/run/test_clients.sh runs this file with other versions of the client, too.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from protocol_client import BOX, SHAPE, connected, status_of
from served import Served

from medsam_engine.serve import nnia

# --- prompts ----------------------------------------------------------------------------------------------------------


def test_a_box_its_undo_and_what_the_client_has(client: Any) -> None:
    mask = client.target_buffer
    assert client.add_bbox_interaction(BOX, True) == BOX
    expected = np.zeros(SHAPE, np.uint8)
    expected[6, 4:12, 6:20] = 1
    np.testing.assert_array_equal(mask, expected)
    assert client.undo() is True
    assert not mask.any()
    assert client.undo() is False


def test_floats_as_napari_sends_them(client: Any) -> None:
    assert client.add_bbox_interaction([[6.0, 7.0], [3.6, 12.4], [6.2, 19.7]], True) == BOX
    client.add_point_interaction(np.array([6.2, 8.9, 11.5]), True)


def test_boxes_of_every_kind_of_drawing_are_answered(client: Any) -> None:
    for box in (
        [[6, 6], [4, 12], [6, 20]],
        [[6, 7], [12, 4], [20, 6]],
        [[6, 7], [4, 5], [6, 7]],
        [[99, 100], [0, 5], [0, 5]],
    ):
        client.add_bbox_interaction(box, True)
        client.add_bbox_interaction(box, False)
    client.add_bbox_interaction([[2, 9], [4, 12], [6, 20]], True)
    client.add_point_interaction([-4, 900, 3], True)


def test_carried_or_this_slice_only(client: Any) -> None:
    client.add_bbox_interaction(BOX, True)
    assert client.target_buffer.any(axis=(1, 2)).sum() == 1
    client.reset_interactions()
    client.set_do_autozoom(True)
    client.add_bbox_interaction(BOX, True)
    assert client.target_buffer.any(axis=(1, 2)).sum() > 1


def test_prompts_that_wait(client: Any) -> None:
    assert client._predict() is None
    assert client.add_bbox_interaction(BOX, True, run_prediction=False) is None
    client.add_bbox_interaction([[8, 9], [16, 24], [6, 20]], True, run_prediction=False)
    assert not client.target_buffer.any()
    assert client._predict() == [[6, 9], [4, 24], [6, 20]]
    assert client.target_buffer.sum() == 2 * 8 * 14
    assert client.undo()  # one prompt at a time
    assert client.target_buffer.sum() == 8 * 14
    client.add_bbox_interaction([[8, 9], [16, 24], [6, 20]], True, run_prediction=False)
    assert client.undo()  # the one that waits
    assert client._predict() is None
    assert client.target_buffer.sum() == 8 * 14


def test_masks_with_and_without_a_box(client: Any) -> None:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[6, 4:16, 6:22] = 1
    client.add_lasso_interaction(drawn, True)
    whole = client.target_buffer.copy()
    assert whole.any()
    client.reset_interactions()
    client.add_lasso_interaction(drawn[6:7, 2:20, 3:25], True, interaction_bbox=[[6, 7], [2, 20], [3, 25]])
    np.testing.assert_array_equal(client.target_buffer, whole)
    client.add_lasso_interaction(np.ones((1, 4, 4), bool), False, interaction_bbox=[[6, 7], [6, 10], [8, 12]])
    assert not client.target_buffer[6, 6:10, 8:12].any()
    client.add_scribble_interaction(np.ones((1, 1, 9), np.uint8), True, interaction_bbox=[[6, 7], [8, 9], [6, 15]])
    client.add_scribble_interaction(np.zeros(SHAPE, np.uint8), True)
    client.add_scribble_interaction(np.ones((1, 1, 9), np.uint8), True, interaction_bbox=[[6, 7], [8, 9], [28, 37]])


def test_masks_that_are_refused(client: Any) -> None:
    ones = np.ones((1, 4, 4), np.uint8)
    assert status_of(client.add_lasso_interaction, ones, True, interaction_bbox=[[6, 7], [2, 20], [3, 25]]) == 400
    assert status_of(client.add_lasso_interaction, ones, True) == 400
    assert status_of(client.add_scribble_interaction, ones.astype(np.float32), True) == 400
    client.target_buffer = None
    assert status_of(client.add_initial_seg_interaction, np.ones((2, 2, 2), np.uint8)) == 400


def test_an_initial_mask(client: Any) -> None:
    seed = np.zeros(SHAPE, np.uint8)
    seed[5:8, 4:12, 6:20] = 3
    assert client.add_initial_seg_interaction(seed) is None
    assert client.undo() is False  # a segment that was seeded is not undone
    client.add_lasso_interaction(np.ones((1, 4, 4), bool), False, interaction_bbox=[[6, 7], [6, 10], [8, 12]])
    assert client._last_paste_bbox == [[6, 7], [6, 10], [8, 12]]
    assert client.undo()
    np.testing.assert_array_equal(client.target_buffer > 0, seed > 0)
    client.add_initial_seg_interaction((seed > 0).astype(np.uint8), run_prediction=True)
    assert client.target_buffer.any()


def test_the_reply_says_what_it_is(client: Any, server: Served) -> None:
    body = {"bbox_coords": BOX, "include_interaction": True}
    reply = server.post("/add_bbox_interaction", client._lease_token, body)
    meta = json.loads(reply.headers["x-meta"])
    assert meta == {"ran_prediction": True, "bbox": BOX, "dtype": "uint8", "shape": [1, 8, 14]}
    assert nnia.unpack(reply.body, 1 << 20).shape == (1, 8, 14)
    assert server.post("/reset_interactions", client._lease_token).status == 200
    nothing = server.post("/undo", client._lease_token)
    assert json.loads(nothing.headers["x-meta"])["ran_prediction"] is False
    assert nothing.body == b""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/add_bbox_interaction", b"{"),
        ("/add_bbox_interaction", b"[]"),
        ("/add_bbox_interaction", b"{}"),
        ("/add_bbox_interaction", b"\xff\xfe"),
        ("/add_bbox_interaction", b"[" * 50_000),
        ("/add_bbox_interaction", b'{"bbox_coords": [[1, 2], [3, 4]], "include_interaction": true}'),
        ("/add_bbox_interaction", b'{"bbox_coords": [[1, 2], [3, 4], [5, null]], "include_interaction": true}'),
        ("/add_bbox_interaction", b'{"bbox_coords": [[1, 2], [3, 4], [5, NaN]], "include_interaction": true}'),
        ("/add_bbox_interaction", b'{"bbox_coords": [[1, 2], [3, 4], [5, 1e999]], "include_interaction": true}'),
        ("/add_bbox_interaction", b'{"bbox_coords": [[1, 2], [3, 4], [5, 6]], "include_interaction": "yes"}'),
        ("/add_point_interaction", b'{"coordinates": [1, 2], "include_interaction": true}'),
        ("/add_point_interaction", b'{"coordinates": "1,2,3", "include_interaction": true}'),
        ("/set_do_autozoom", b'{"do_autozoom": 1}'),
        ("/set_target_buffer", b'{"shape": [12, 28, 32], "dtype": "object"}'),
        ("/set_target_buffer", b'{"shape": [12, 28, 3e9], "dtype": "uint8"}'),
        ("/set_target_buffer", b'{"shape": [12, -28, 32], "dtype": "uint8"}'),
        ("/predict", b"{"),
    ],
)
def test_bodies_that_are_refused(client: Any, server: Served, path: str, body: bytes) -> None:
    reply = server.ask("POST", path, body, X_Lease_Token=client._lease_token)
    assert reply.status == 400
    assert reply.detail


@pytest.mark.parametrize(
    "meta", ["{", "[]", "\xff", '{"include_interaction": 1}', '{"include_interaction": true, "interaction_bbox": 3}']
)
def test_meta_that_is_refused(client: Any, server: Served, meta: str) -> None:
    body = nnia.pack(np.ones(SHAPE, np.uint8))
    reply = server.ask("POST", "/add_lasso_interaction", body, X_Lease_Token=client._lease_token, X_Meta=meta)
    assert reply.status == 400


def test_two_clients_do_not_see_each_other(client: Any, server: Served, small_volume: NDArray[np.uint8]) -> None:
    other = connected(server)
    other.set_image(small_volume[np.newaxis], {})
    other.set_target_buffer(np.zeros(SHAPE, np.uint8))
    client.add_bbox_interaction(BOX, True)
    assert other.undo() is False
    other.add_bbox_interaction([[2, 3], [16, 24], [6, 20]], True)
    assert client.target_buffer.sum() == 8 * 14
    other.close()
