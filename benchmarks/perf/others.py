# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How much of the processor others use, which a load average cannot tell: it counts this program's own work, too."""

import os
import resource
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_AT_REST = ("idle", "iowait")


def busy_seconds(stat: str, cores: Collection[int], ticks: int) -> float:
    """Seconds that `cores` have worked since the start, by the text of /proc/stat; steal is a neighbor's work."""
    total = 0
    for line in stat.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            fields = dict(zip(_FIELDS, map(int, values), strict=False))  # guests are in user already
            total += sum(value for field, value in fields.items() if field not in _AT_REST)
    return total / ticks


@dataclass(frozen=True)
class Moment:
    """Clocks, in seconds."""

    wall: float
    busy: float
    own: float
    """Of this process and of its children that have ended."""


def now() -> Moment:
    """The clocks. OSError where there is no /proc/stat."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in used)
    stat = STAT.read_text(encoding="ascii")
    busy = busy_seconds(stat, os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK"))
    return Moment(time.monotonic(), busy, own)


def others_share(begin: Moment, end: Moment, cores: int) -> float:
    """The share of `cores` that others used between two moments; every child begun in between must have ended."""
    others = (end.busy - begin.busy) - (end.own - begin.own)
    return max(0.0, others / (end.wall - begin.wall) / cores)


def share_at_rest(seconds: float) -> float:
    """The share of the cores that others use while this process waits for `seconds`."""
    begin = now()
    time.sleep(seconds)
    return others_share(begin, now(), len(os.sched_getaffinity(0)))
