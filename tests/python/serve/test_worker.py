# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The worker: one job at a time, in turn between keys, and an end that loses none."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator

import pytest

from medsam_engine.serve.worker import Worker, WorkerClosed

DEADLINE = 30.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


class Gate:
    """A job that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(DEADLINE)
        return "done"


def test_in_turn_between_keys(worker: Worker) -> None:
    gate = Gate()
    order: list[str] = []
    first = worker.submit("a", gate)
    assert gate.begun.wait(DEADLINE)
    jobs = [worker.submit(key, order.append, f"{key}{n}") for key in "ab" for n in range(3)]
    jobs.append(worker.submit("c", order.append, "c0"))
    assert worker.waiting == 7
    gate.go.set()
    assert first.result(DEADLINE) == "done"
    for job in jobs:
        job.result(DEADLINE)
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "b2"]


def test_nothing_of_a_job_is_kept_until_the_next_one() -> None:
    """Its result may be a volume, and the next job may come tomorrow."""

    class Result:
        pass

    kept: list[weakref.ref[Result]] = []
    found: list[object] = []
    done = threading.Event()

    def job() -> Result:
        result = Result()
        kept.append(weakref.ref(result))
        return result

    def observe(_waited: float, _ran: float) -> None:
        found.append(kept[0]())
        done.set()

    worker = Worker(observe)
    with worker._changed:  # so that the future is not held by submit() when the job runs
        worker.submit("a", job)
    assert done.wait(DEADLINE)
    worker.close()
    assert found == [None]


def test_one_thread_for_all(worker: Worker) -> None:
    names = {worker.submit(key, lambda: threading.current_thread().name).result(DEADLINE) for key in "abc"}
    assert names == {"medsam-engine-worker"}


def test_errors_go_to_whoever_asked(worker: Worker) -> None:
    with pytest.raises(ZeroDivisionError):
        worker.submit("a", lambda: 1 / 0).result(DEADLINE)
    assert worker.submit("a", lambda: 1).result(DEADLINE) == 1


def test_a_job_that_has_not_begun_is_dropped_with_its_task(worker: Worker) -> None:
    gate = Gate()
    ran: list[int] = []

    async def ask() -> None:
        blocked = asyncio.ensure_future(worker.run("a", gate))
        await asyncio.to_thread(gate.begun.wait, DEADLINE)
        task = asyncio.ensure_future(worker.run("b", ran.append, 1))
        await asyncio.sleep(0)  # lets the task begin
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.go.set()
        assert await blocked == "done"

    asyncio.run(ask())
    assert worker.submit("b", lambda: "alive").result(DEADLINE) == "alive"
    assert ran == []


def test_the_end_waits_for_what_was_asked() -> None:
    worker, gate = Worker(), Gate()
    done: list[int] = []
    first = worker.submit("a", gate)
    second = worker.submit("b", done.append, 1)
    assert gate.begun.wait(DEADLINE)
    ending = threading.Thread(target=worker.close)
    ending.start()
    gate.go.set()
    ending.join(DEADLINE)
    assert not ending.is_alive()
    assert first.done()
    assert second.done()
    assert done == [1]
    with pytest.raises(WorkerClosed):
        worker.submit("a", lambda: None)


def test_times_are_told() -> None:
    told: list[tuple[float, float]] = []
    worker = Worker(lambda waited, ran: told.append((waited, ran)))
    worker.submit("a", lambda: None).result(DEADLINE)
    worker.close()
    assert len(told) == 1
    assert min(told[0]) >= 0
