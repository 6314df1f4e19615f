# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Several clients at once: heartbeats while the worker is busy, fairness, and answers that do not mix."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession as Client
from served import DEADLINE, KEY, Served, served

from medsam_engine import Engine
from medsam_engine.serve.access import Access
from medsam_engine.serve.log import JsonLines
from medsam_engine.serve.workplace import Limits, Workplace

SHAPE = (8, 28, 32)


def test_what_needs_no_computing_is_answered_while_the_worker_is_busy(server: Served) -> None:
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go.wait(DEADLINE)

    held = server.workplace.worker.submit("somebody", hold)
    assert begun.wait(DEADLINE)
    token = server.claimed()
    assert server.post("/heartbeat", token).status == 200
    assert server.ask("GET", "/healthz").status == 200
    assert server.ask("GET", "/lease_status", X_Lease_Token=token).status == 200
    assert server.ask("GET", "/capabilities", X_Lease_Token=token).status == 200
    assert b"medsam_leases 1.0" in server.ask("GET", "/metrics").body
    assert server.post("/release", token).status == 200
    assert not held.done()  # all of it while the worker was busy
    go.set()
    held.result(DEADLINE)


def test_a_lease_does_not_end_while_it_waits_for_the_worker(tiny_engine: Engine) -> None:
    """The client's timer stands still meanwhile, as Slicer's does."""
    now = [0.0]
    workplace = Workplace(tiny_engine, Access("127.0.0.1", KEY), Limits())
    workplace.leases._clock = lambda: now[0]
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go.wait(DEADLINE)

    with served(workplace) as server, ThreadPoolExecutor(1) as pool:
        token = server.claimed()
        workplace.worker.submit("somebody", hold)
        assert begun.wait(DEADLINE)
        reset = pool.submit(server.post, "/reset_interactions", token)
        while not workplace.worker.waiting:
            begun.wait(0.001)
        now[0] += 100_000
        assert server.post("/heartbeat", token).status == 200
        go.set()
        assert reset.result(DEADLINE).status == 200
        now[0] += 61
        assert server.post("/heartbeat", token).status == 410


@pytest.mark.parametrize("clients", [4])
def test_clients_at_once_get_their_own_answers(server: Served, clients: int) -> None:
    """Each draws other boxes on an image of its own; the masks are those boxes."""

    def draw(number: int) -> None:
        client = Client(server.url, api_key=KEY)
        client.set_do_autozoom(False)
        client.set_image(np.full((1, *SHAPE), number, np.uint8), {})
        mask = np.zeros(SHAPE, np.uint8)
        client.set_target_buffer(mask)
        expected = np.zeros(SHAPE, np.uint8)
        for n in range(8):
            low = 2 * ((number + n) % 8)
            box = [[n, n + 1], [low, low + 8], [low, low + 10]]
            client.add_bbox_interaction(box, True)
            expected[n, low : low + 8, low : low + 10] = 1
            np.testing.assert_array_equal(mask, expected)
        assert client.undo()
        assert mask.sum() == expected.sum() - 80
        client.close()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(draw, range(clients)))
    assert len(server.workplace.leases) == 0


def test_metrics_count(make_workplace: Callable[..., Workplace]) -> None:
    with served(make_workplace()) as server:
        token = server.claimed()
        server.post("/heartbeat", token)
        server.post("/undo", "")
        text = server.ask("GET", "/metrics").body.decode()
    assert 'medsam_requests_total{method="POST",route="/claim",status="200"} 1.0' in text
    assert 'medsam_requests_total{method="POST",route="/undo",status="410"} 1.0' in text
    assert 'medsam_request_seconds_count{route="/heartbeat"} 1.0' in text
    assert "medsam_leases 1.0" in text
    assert "medsam_jobs_waiting 0.0" in text


def test_log_lines_are_json_on_one_line(caplog: pytest.LogCaptureFixture, server: Served) -> None:
    with caplog.at_level("DEBUG", logger="medsam_engine.serve"):
        server.ask("GET", "/healthz")
        server.ask("POST", "/claim", b"{", key="wrong")
    lines = [JsonLines().format(record) for record in caplog.records]
    events = [json.loads(line) for line in lines]
    assert all("\n" not in line for line in lines)
    assert {"event": "request", "method": "POST", "status": 401, "route": "other"}.items() <= next(
        e for e in events if e.get("status") == 401
    ).items()
    assert all(e["ms"] >= 0 for e in events if e["event"] == "request")


def test_an_error_of_the_servers_own_is_one_line(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> bytes:
        raise RuntimeError("DOE^JANE")

    monkeypatch.setattr(server.workplace.metrics, "text", fail)
    with caplog.at_level("INFO", logger="medsam_engine.serve"):
        reply = server.ask("GET", "/metrics")
    assert reply.status == 500
    assert "DOE" not in reply.detail
    assert "DOE" not in caplog.text
    assert "request_failed" in caplog.text
