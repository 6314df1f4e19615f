# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What two trees' times say: the ratios, and whether this machine was quiet enough to judge by them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

BAR = 0.9
"""The least ratio of the base's time to the new tree's."""
BUSY = (1 - BAR) / 2
"""The largest share of the cores that others may use: if they took it all from one side, half of the bar's tenth."""

PASSED, SLOWER, CANNOT_JUDGE = 0, 1, 3
"""Exit statuses; 2 is a usage error, as argparse has it, or a step that fails."""


@dataclass(frozen=True)
class Row:
    """One figure of both trees: the seconds of every counted call."""

    what: str
    precision: str
    base: Sequence[float]
    new: Sequence[float]

    @property
    def ratio(self) -> float:
        """The base's median over the new tree's: above 1, the new tree is faster."""
        return statistics.median(self.base) / statistics.median(self.new)


@dataclass(frozen=True)
class Load:
    """What others used of the cores that are ours to use, as a share of them."""

    before: float
    during: float

    @property
    def idle(self) -> bool:
        """Whether the ratios can be judged."""
        return max(self.before, self.during) <= BUSY


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text."""
    lines = [f"{'':8} {'precision':34} {'runs':>5} {'base':>10} {'new':>10}  base/new"]
    for row in rows:
        base, new = statistics.median(row.base) * 1e3, statistics.median(row.new) * 1e3
        mark = f"  below {BAR:g}" if row.ratio < BAR else ""
        lines.append(
            f"{row.what:8} {row.precision:34} {len(row.new):5} {base:7.1f} ms {new:7.1f} ms  {row.ratio:8.3f}{mark}"
        )
    return lines


def judge(rows: Sequence[Row], load: Load) -> tuple[int, str]:
    """The exit status, and the reason in one line."""
    if not load.idle:
        return CANNOT_JUDGE, (
            f"cannot judge: other work used {load.before:.0%} of the cores before and {load.during:.0%} during the "
            f"measurement, at most {BUSY:.0%} is quiet; run it again on an idle machine"
        )
    slower = [f"{row.what} in {row.precision} ({row.ratio:.3f})" for row in rows if row.ratio < BAR]
    if slower:
        return SLOWER, f"slower: base/new is below {BAR:g} for {', '.join(slower)}"
    worst = min(rows, key=lambda row: row.ratio)
    return PASSED, f"passed: base/new is at least {worst.ratio:.3f} ({worst.what} in {worst.precision})"
