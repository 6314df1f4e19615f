# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Changes to the tags and headers of sound files, as hypothesis draws them: each gives bytes and says what it did.

Change number N of a base file follows from the seed, the base file's name and N alone: hypothesis reads its choices
from bytes that are made of these three, and so neither from other changes nor from the sources, the time or hashes.

Read here only: $MEDSAM_MUTATIONS is the number of changes of each base file (`make mutations` sets it; else they are
few), $MEDSAM_MUTATION_SEED the seed, and $MEDSAM_MUTATION the number of the one change to try.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

CHOSEN = int(os.environ.get("MEDSAM_MUTATIONS", "0"))
SEED = int(os.environ.get("MEDSAM_MUTATION_SEED") or (random.SystemRandom().randrange(10**9) if CHOSEN else 0))
_ONLY = os.environ.get("MEDSAM_MUTATION", "")
_FEW = 12
_CHOICES = 8192  # bytes; a change takes some tens, and one that takes more is left out


@dataclass(frozen=True)
class Changed:
    """A changed file and how it was changed."""

    content: bytes
    how: str


Strategy = st.SearchStrategy[Changed]


def drawn(strategy: Strategy, name: str) -> Iterator[tuple[int, Changed]]:
    """The changes to try of the base file `name`, each with its number."""
    made: list[Changed] = []

    @settings(database=None, deadline=None)
    @given(strategy)
    def keep(changed: Changed) -> None:
        made.append(changed)

    for number in [int(_ONLY)] if _ONLY else range(CHOSEN or _FEW):
        made.clear()
        keep.hypothesis.fuzz_one_input(  # type: ignore[attr-defined]  # set by @given
            random.Random(f"{SEED} {name} {number}").randbytes(_CHOICES)
        )
        for changed in made:
            yield number, changed


def repeated_by(number: int) -> str:
    """The command, but for the test's name, that tries change `number` again, alone."""
    return f"MEDSAM_MUTATION_SEED={SEED} MEDSAM_MUTATION={number} python -m pytest"


# What stands for a number in text: sound, with a decimal comma, not finite, too many, none.
_WORDS = (
    "0", "1", "-1", "2", "3", "0,5", "1.5", "1,25", "-0.5", "1e400", "-1e400", "nan", "inf", "1e-320", "abc", "",
    "  ", "1 2", "1\\2", "1\\2\\3", "1\\2\\3\\4\\5\\6", "0\\0\\0", "0x10", "1\\0,5", "99999999999999999999", "65536",
    "-32769", "16", "12", "8", "32", "64", "1.0000001", "1024", "-1024",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(_WORDS),
    st.integers(-70000, 70000).map(str),
    st.floats(-2000, 2000).map(lambda value: f"{value:.6g}"),
)


def damaged(content: bytes) -> Strategy:
    """Cut off, followed by something, with bytes changed, or with a part left out."""

    def cut(at: int) -> Changed:
        return Changed(content[:at], f"cut at {at}")

    def flipped(changes: list[tuple[int, int]]) -> Changed:
        made = bytearray(content)
        for at, value in changes:
            made[at] = value
        return Changed(bytes(made), f"bytes {changes}")

    def without(part: tuple[int, int]) -> Changed:
        return Changed(content[: part[0]] + content[part[0] + part[1] :], f"{part[1]} bytes left out at {part[0]}")

    last = len(content) - 1
    # Most of a file is voxels; what matters more often lies at the front.
    place = st.one_of(st.integers(0, last), st.integers(0, min(last, 600)))
    return st.one_of(
        place.map(cut),
        st.binary(min_size=1, max_size=40).map(lambda tail: Changed(content + tail, f"{tail!r} appended")),
        st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=3).map(flipped),
        st.tuples(place, st.integers(1, 40)).map(without),
    )


def either(*strategies: Strategy) -> Strategy:
    """One of several kinds of change."""
    return st.one_of(*strategies)
