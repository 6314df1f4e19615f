# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which of the cases a process does: a shard of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.errors import InvalidArgument

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of any list of cases, `index` from 1. Every case is in exactly one part.

    The part of a case follows from its name (`CaseSpec.file`) alone, by a hash: it stays the same when cases are added,
    and parts have about the same number of cases.
    """

    index: int
    count: int

    @staticmethod
    def of(text: str) -> Shard:
        """The shard that is written i/n, such as 3/8. InvalidArgument: it is not from 1/n to n/n."""
        found = _SHARD.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise InvalidArgument(f"--shard: got {text}, expected i/n with i from 1 to n, such as 3/8")
        return Shard(int(found[1]), int(found[2]))

    def holds(self, case: CaseSpec) -> bool:
        """Whether a case is in this part."""
        digest = hashlib.sha256(case.file.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def cases(self, cases: Sequence[CaseSpec]) -> list[CaseSpec]:
        """The cases of this part, in their order."""
        return [case for case in cases if self.holds(case)]
