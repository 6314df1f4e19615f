# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The official client of nnInteractive's remote protocol against a running server: every endpoint, capability, status.

scripts/run/test_clients.sh runs this file with other versions of the client, too.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from nnInteractive.inference.remote import ServerAtCapacityError, SessionExpiredError
from numpy.typing import NDArray
from protocol_client import BOX, SHAPE, connected, status_of
from served import KEY, Served, served
from starlette.routing import Route

from medsam_engine import Engine
from medsam_engine.serve.access import Access
from medsam_engine.serve.nninteractive.capabilities import supported
from medsam_engine.serve.nninteractive.routes import protocol_routes
from medsam_engine.serve.workplace import Limits, Workplace

# --- connecting -------------------------------------------------------------------------------------------------------


def test_claim_capabilities_and_release(server: Served) -> None:
    client = connected(server)
    assert client.ping()
    assert client.liveness_timeout_seconds == 60
    assert client.idle_timeout_seconds == 8 * 3600
    kinds = {"points": True, "bbox2d": True, "bbox3d": True, "lasso": True, "scribble": True}
    assert client.supported_interactions == kinds
    assert client.supports_initial_label is True
    assert client.supports_undo is True
    assert client.supports_zero_shot_label_refinement is False
    assert list(client.preferred_scribble_thickness) == [1, 1, 1]
    assert client.channel_mapping == {}
    assert client.num_interaction_channels == 0
    assert client.interaction_decay is None
    assert client.INFERENCE_SESSION_VERSION.startswith("medsam-engine ")
    assert "not nnInteractive" in client.license
    assert client.do_autozoom is True
    assert client.heartbeat() == pytest.approx(8 * 3600, abs=60)
    status = client.lease_status()
    assert status["idle_timeout_seconds"] == 8 * 3600
    assert 0 < status["remaining_seconds"] <= 8 * 3600
    assert len(server.workplace.leases) == 1
    client.close()
    client.close()
    assert len(server.workplace.leases) == 0


# A client that could not connect never closes its connection.
leaves_its_connection = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@leaves_its_connection
def test_a_wrong_key(server: Served) -> None:
    with pytest.raises(httpx.HTTPStatusError) as error:
        connected(server, "wrong")
    assert error.value.response.status_code == 401
    del error
    gc.collect()


@leaves_its_connection
def test_all_sessions_taken(server: Served) -> None:
    clients = [connected(server) for _ in range(4)]
    with pytest.raises(ServerAtCapacityError, match="fewer than 4"):
        connected(server)
    reply = server.ask("POST", "/claim", b"")
    assert (reply.status, reply.headers["retry-after"]) == (503, "10")
    for client in clients:
        client.close()
    connected(server).close()
    gc.collect()


def test_a_lost_session(server: Served, small_volume: NDArray[np.uint8]) -> None:
    client = connected(server)
    server.post("/release", client._lease_token)
    for call in (client.heartbeat, client.lease_status, client.reset_interactions, client.undo, client._predict):
        with pytest.raises(SessionExpiredError, match="connect again"):
            call()
    with pytest.raises(SessionExpiredError):
        client.set_image(small_volume[np.newaxis], {})
    with pytest.raises(SessionExpiredError):
        client.add_bbox_interaction(BOX, True)
    client.close()


@pytest.mark.parametrize("token", ["", "0" * 32, "\xff"])
def test_every_endpoint_of_a_lease_answers_410_without_one(server: Served, token: str) -> None:
    without = ("/claim", "/release", "/upload_image")
    paths = [r.path for r in protocol_routes(server.workplace) if isinstance(r, Route) and r.path not in without]
    assert len(paths) >= 14
    for path in paths:
        method = "GET" if path in ("/capabilities", "/lease_status") else "POST"
        reply = server.ask(method, path, b"{}", X_Lease_Token=token)
        assert reply.status == 410, path
        assert reply.detail


def test_a_heartbeat_may_have_an_empty_body(server: Served) -> None:
    """As clients before 2.6 send it."""
    client = connected(server)
    reply = server.ask("POST", "/heartbeat", b"", X_Lease_Token=client._lease_token)
    assert reply.status == 200
    client.close()


def test_what_guis_send_before_any_image(server: Served) -> None:
    client = connected(server)
    client.set_do_autozoom(False)
    client.reset_interactions()
    assert status_of(client.add_bbox_interaction, BOX, True) == 400
    assert status_of(client.undo) == 400
    assert status_of(client.set_target_buffer, np.zeros((2, 2, 2), np.uint8)) == 400
    client.close()


def test_the_old_servers_endpoint(server: Served) -> None:
    reply = server.ask("POST", "/upload_image", b"x" * 1000, key="", Content_Type="multipart/form-data")
    assert reply.status == 410
    assert "1.0.0 or newer" in reply.detail


def test_the_root_explains_itself(server: Served) -> None:
    for key in ("", KEY):
        said = server.ask("GET", "/", key=key).body.decode()
        assert "SlicerNNInteractive" in said or "<html" in said.lower()


def test_addresses_and_methods_that_are_none(server: Served) -> None:
    assert server.ask("GET", "/nothing").status == 404
    assert "docs/serve.md" in server.ask("GET", "/nothing").detail
    assert server.ask("GET", "/claim").status == 405
    assert server.ask("POST", "/capabilities", b"").status == 405


# --- what the model knows ---------------------------------------------------------------------------------------------


class Info:
    """Weights that were trained with these prompts."""

    def __init__(self, *prompts: tuple[str, ...]) -> None:
        self.trained_prompts = prompts


@pytest.mark.parametrize(
    ("info", "points", "boxes"),
    [
        (Info(("box",)), True, True),
        (Info(("points",)), True, False),
        (Info(("box",), ("points",), ("box", "points")), True, True),
        (Info(("box", "scribble")), False, False),
    ],
)
def test_capabilities_are_what_the_weights_were_trained_with(info: Any, points: bool, boxes: bool) -> None:
    kinds = {"points": points, "bbox2d": boxes, "bbox3d": boxes, "lasso": boxes, "scribble": boxes}
    assert supported(info) == kinds


def test_an_interaction_that_the_model_does_not_answer(
    server: Served, tiny_engine: Engine, small_volume: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    del server
    monkeypatch.setattr(
        "medsam_engine.serve.nninteractive.routes.supported",
        lambda info: supported(info) | {"points": False},
    )
    with served(Workplace(tiny_engine, Access("127.0.0.1", KEY), Limits())) as limited:
        client = connected(limited)
        client.set_image(small_volume[np.newaxis], {})
        client.set_target_buffer(np.zeros(SHAPE, np.uint8))
        assert status_of(client.add_point_interaction, [6, 8, 12], True) == 400
        client.add_point_interaction([6, 8, 12], True, override_capability_checks=True)
        client.close()


def test_the_version_of_the_client_is_the_pinned_one() -> None:
    """Or the one that scripts/run/test_clients.sh has installed."""
    import importlib.metadata
    import os

    wanted = os.environ.get("MEDSAM_CLIENT_VERSION")
    if wanted is None:
        project = (Path(__file__).resolve().parents[3] / "pyproject.toml").read_text(encoding="utf-8")
        wanted = project.partition('"nninteractive-client==')[2].partition('"')[0]
    assert importlib.metadata.version("nninteractive-client") == wanted
