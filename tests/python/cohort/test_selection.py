# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Shards are disjoint and complete whatever the cases are called, and stay what they are when cases are added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam_engine import InvalidArgument
from medsam_engine.cohort import CaseSpec
from medsam_engine.cohort.selection import Shard


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 40))
def test_every_case_is_in_exactly_one_shard(names: list[str], count: int) -> None:
    cases = [CaseSpec.of(name) for name in names]
    shards = [Shard(index, count).cases(cases) for index in range(1, count + 1)]
    assert sorted(case.file for shard in shards for case in shard) == sorted(names)
    assert all(shard == [case for case in cases if case in shard] for shard in shards), "in the order of the table"


def test_shards_are_of_about_one_size_and_known() -> None:
    cases = [CaseSpec.of(f"patient{k}/ct.nii.gz") for k in range(8000)]
    sizes = [len(Shard.of(f"{index}/8").cases(cases)) for index in range(1, 9)]
    assert max(sizes) < 1100
    assert min(sizes) > 900
    # What an array of jobs has begun must not change with a release.
    assert [case.file for case in Shard.of("2/5").cases(cases[:12])] == ["patient0/ct.nii.gz", "patient7/ct.nii.gz"]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Shard.of(text)
