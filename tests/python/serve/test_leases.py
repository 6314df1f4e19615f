# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Leases: limits, idleness, heartbeats, and requests in flight, on a clock of the test's own."""

from __future__ import annotations

import pytest

from medsam_engine.serve.leases import AllTaken, Leases, NoLease


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dropped() -> list[str]:
    return []


@pytest.fixture
def leases(clock: Clock, dropped: list[str]) -> Leases[str]:
    names = iter("abcdefgh")
    return Leases(lambda: next(names), dropped.append, most=2, idle=600, liveness=60, clock=clock)


def test_as_many_as_there_may_be(leases: Leases[str], dropped: list[str]) -> None:
    first, second = leases.claim(), leases.claim()
    assert first.token != second.token
    assert len(bytes.fromhex(first.token)) == 16
    with pytest.raises(AllTaken, match="fewer than 2"):
        leases.claim()
    leases.release(first.token)
    leases.release(first.token)  # twice does no harm
    leases.release("unknown")
    assert dropped == ["a"]
    assert leases.claim().content == "c"
    with pytest.raises(NoLease):
        leases.find(first.token)


def test_a_client_that_is_not_heard_of(leases: Leases[str], clock: Clock, dropped: list[str]) -> None:
    lease = leases.claim()
    clock.now += 59
    assert leases.heartbeat(lease.token) == 541  # proves life, and is no use
    clock.now += 59
    assert leases.find(lease.token) is lease
    clock.now += 1
    with pytest.raises(NoLease):
        leases.heartbeat(lease.token)
    assert dropped == ["a"]
    assert len(leases) == 0


def test_a_client_that_does_nothing(leases: Leases[str], clock: Clock) -> None:
    lease = leases.claim()
    for _ in range(19):
        clock.now += 30
        leases.heartbeat(lease.token)
    clock.now += 30
    with pytest.raises(NoLease):
        leases.heartbeat(lease.token)


def test_use_renews(leases: Leases[str], clock: Clock) -> None:
    lease = leases.claim()
    clock.now += 50
    with leases.using(lease.token):
        assert leases.remaining(lease) == 600
    clock.now += 50
    assert leases.remaining(lease) == 550


def test_a_request_in_flight_is_life(leases: Leases[str], clock: Clock, dropped: list[str]) -> None:
    lease = leases.claim()
    with leases.using(lease.token):
        clock.now += 10_000
        leases.sweep()
        assert leases.find(lease.token) is lease
        with leases.using(lease.token):
            clock.now += 10_000
        leases.sweep()
        assert dropped == []
    clock.now += 59
    leases.sweep()
    assert dropped == []
    clock.now += 1
    leases.sweep()
    assert dropped == ["a"]


def test_an_expired_lease_makes_room(leases: Leases[str], clock: Clock) -> None:
    leases.claim()
    leases.claim()
    clock.now += 60
    assert leases.claim().number == 3
