# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Leases: who of the programs that speak nnInteractive's protocol has a session, and for how long."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from medsam_engine.errors import Unsupported

Content = TypeVar("Content")


class NoLease(Unsupported):
    """The lease is unknown, has expired or was given back."""


class AllTaken(Unsupported):
    """As many leases as there may be are in force."""


@dataclass
class Lease(Generic[Content]):
    """One client's session.

    Attributes:
        token: 32 hex digits; a secret of the client's.
        number: 1 for the first lease of the server; for the log.
        content: what belongs to the lease.
        last_use: when it was last used, by Leases' clock.
        last_sign: when its client was last heard from.
        in_flight: how many of its requests are being answered.
    """

    token: str
    number: int
    content: Content
    last_use: float
    last_sign: float
    in_flight: int = field(default=0)


class Leases(Generic[Content]):
    """The leases in force, at most `most`. Used on the event loop only.

    A lease ends by release(), after `idle` seconds without a use, or after `liveness` seconds without a heartbeat.
    A use is a heartbeat, too; a heartbeat is no use. While a request of the lease is being answered, it does not end.

    Args:
        make: makes the content of a new lease.
        drop: called with the content of a lease that has ended.
        most: how many there may be.
        idle: seconds.
        liveness: seconds.
        clock: seconds since any moment.
    """

    def __init__(
        self,
        make: Callable[[], Content],
        drop: Callable[[Content], object],
        *,
        most: int = 4,
        idle: float = 8 * 3600.0,
        liveness: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._drop, self._clock = make, drop, clock
        self.most, self.idle, self.liveness = most, idle, liveness
        self._leases: dict[str, Lease[Content]] = {}
        self._made = 0

    def claim(self) -> Lease[Content]:
        """A new lease. AllTaken if there are as many as there may be."""
        self.sweep()
        if len(self._leases) >= self.most:
            raise AllTaken(f"sessions: got {len(self._leases)} in use, expected fewer than {self.most}; try later")
        now = self._clock()
        self._made += 1
        lease = Lease(secrets.token_hex(16), self._made, self._make(), now, now)
        self._leases[lease.token] = lease
        return lease

    def find(self, token: str) -> Lease[Content]:
        """The lease in force with this token. NoLease."""
        self.sweep()
        # By hash and not by constant time: the token has 128 random bits, and what differs in time is where the hash
        # of a guess falls.
        lease = self._leases.get(token)
        if lease is None:
            raise NoLease("session: got no lease in force, expected one; connect again, the drawing is not lost")
        return lease

    @contextmanager
    def using(self, token: str) -> Iterator[Lease[Content]]:
        """The lease, which does not end inside the block. NoLease."""
        lease = self.find(token)
        lease.in_flight += 1
        lease.last_use = lease.last_sign = self._clock()
        try:
            yield lease
        finally:
            lease.in_flight -= 1
            lease.last_use = lease.last_sign = self._clock()

    def heartbeat(self, token: str) -> float:
        """A heartbeat; returns the seconds until the lease ends for want of use. NoLease."""
        lease = self.find(token)
        lease.last_sign = self._clock()
        return self.remaining(lease)

    def remaining(self, lease: Lease[Content]) -> float:
        """Seconds until the lease ends for want of use."""
        return self.idle if lease.in_flight else max(0.0, lease.last_use + self.idle - self._clock())

    def release(self, token: str) -> None:
        """Ends a lease; nothing happens if there is none."""
        lease = self._leases.pop(token, None)
        if lease is not None:
            self._drop(lease.content)

    def sweep(self) -> None:
        """Ends what has expired."""
        now = self._clock()
        for lease in list(self._leases.values()):
            idle, silent = now - lease.last_use, now - lease.last_sign
            if not lease.in_flight and (idle >= self.idle or silent >= self.liveness):
                self.release(lease.token)

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[Lease[Content]]:
        return iter(list(self._leases.values()))
