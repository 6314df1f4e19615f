# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `make perf` makes of two trees' times, which commit it takes as the base, and how it sees others' work."""

import re
from pathlib import Path

import pytest
from benchmarks.perf.judgment import BUSY, CANNOT_JUDGE, PASSED, SLOWER, Load, Row, judge, table
from benchmarks.perf.others import Moment, busy_seconds, others_share
from benchmarks.perf.trees import base_commit, requirements

ROOT = Path(__file__).resolve().parents[3]
QUIET = Load(0.0, 0.01)


def row(base: list[float], new: list[float], what: str = "encode") -> Row:
    return Row(what, "f32", base, new)


def test_the_ratio_is_of_medians_the_base_over_the_new_tree() -> None:
    assert row([1.0, 1.0, 9.0], [2.0, 2.0, 0.1]).ratio == pytest.approx(0.5)
    assert row([0.3], [0.1, 0.2]).ratio == pytest.approx(2.0)


def test_the_bar_is_a_ratio_of_nine_tenths() -> None:
    assert judge([row([0.9], [1.0])], QUIET)[0] == PASSED
    status, why = judge([row([1.2], [1.0]), row([0.899], [1.0], "prompt")], QUIET)
    assert status == SLOWER
    assert why == "slower: base/new is below 0.9 for prompt in f32 (0.899)"
    assert judge([row([1.2], [1.0]), row([0.95], [1.0], "prompt")], QUIET) == (
        PASSED, "passed: base/new is at least 0.950 (prompt in f32)",
    )  # fmt: skip


@pytest.mark.parametrize("load", [Load(BUSY + 0.001, 0.0), Load(0.0, BUSY + 0.001)])
@pytest.mark.parametrize("new", [0.5, 2.0])
def test_a_busy_machine_judges_neither_way(load: Load, new: float) -> None:
    status, why = judge([row([1.0], [new])], load)
    assert status == CANNOT_JUDGE
    assert status not in (PASSED, SLOWER, 2), "2 is a usage error"
    assert why.startswith("cannot judge: other work used")


def test_a_little_work_of_others_is_quiet() -> None:
    assert Load(BUSY, BUSY).idle
    assert judge([row([1.0], [2.0])], Load(BUSY, BUSY))[0] == SLOWER


def test_the_table_has_both_medians_in_milliseconds_and_marks_what_is_below_the_bar() -> None:
    head, encode, prompt = table([row([0.2, 0.1, 0.3], [0.1] * 3), row([0.01], [0.02], "prompt")])
    assert head.split() == ["precision", "runs", "base", "new", "base/new"]
    assert encode.split() == ["encode", "f32", "3", "200.0", "ms", "100.0", "ms", "2.000"]
    assert prompt.split() == ["prompt", "f32", "1", "10.0", "ms", "20.0", "ms", "0.500", "below", "0.9"]


STAT = """cpu  111 0 0 0 0 0 0 0 0 0
cpu0 100 20 30 5000 600 1 2 40 7 8
cpu1 1 1 1 1 1 1 1 1 0 0
cpu12 1000 0 0 0 0 0 0 0 0 0
intr 5
"""


def test_busy_is_all_but_idle_on_the_cores_that_are_ours() -> None:
    assert busy_seconds(STAT, {0}, 100) == pytest.approx(
        1.93
    )  # 100 + 20 + 30 + 1 + 2 + 40, without the guests' 7 and 8
    assert busy_seconds(STAT, {0, 12}, 100) == pytest.approx(11.93)
    assert busy_seconds("cpu0 5 5 5 100\n", {0}, 10) == pytest.approx(1.5), "old kernels have fewer columns"


def test_others_are_what_our_processes_did_not_use() -> None:
    begin, end = Moment(10.0, 100.0, 1.0), Moment(20.0, 117.0, 16.0)
    assert others_share(begin, end, 2) == pytest.approx(0.1)  # 17 s busy, 15 s ours, of 20
    assert others_share(begin, Moment(20.0, 114.9, 16.0), 2) == 0.0, "clocks of different ticks"


@pytest.mark.parametrize(
    ("branches", "wanted", "expected"),
    [
        ({}, "", "HEAD~1"),
        ({"main": "HEAD~1"}, "", "HEAD~1"),
        ({"main": "HEAD"}, "", "HEAD~1"),
        ({"main": "HEAD", "origin/main": "HEAD~1"}, "", "HEAD~1"),
        ({"main": "HEAD~1", "origin/main": "HEAD~2"}, "", "HEAD~2"),
        ({"main": "HEAD"}, "HEAD", "HEAD"),
    ],
)
def test_the_base_is_main_or_the_commit_before_it(branches: dict[str, str], wanted: str, expected: str) -> None:
    hashes = {"HEAD": "c", "HEAD~1": "b", "HEAD~2": "a"}

    def ask(*words: str) -> str:
        name = words[-1].removesuffix("^{commit}")
        return hashes[branches.get(name, name)]

    assert base_commit(wanted, branches.__contains__, ask) == hashes[expected]


def test_a_base_that_is_not_there_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="git rev-parse --verify no-such-commit"):
        base_commit("no-such-commit")


def test_requirements_are_those_to_build_and_to_run() -> None:
    found = requirements(ROOT)
    assert any(re.fullmatch(r"openvino==[\d.]+", line) for line in found)
    assert any(line.startswith("scikit-build-core==") for line in found)
