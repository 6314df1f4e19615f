# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cores and load, also on systems that do not say."""

import os

import pytest

from medsam_engine.base.cores import load_average, usable_cores


def test_what_this_system_says() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    load = load_average()
    assert load is None or load >= 0


def test_systems_that_do_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert (usable_cores(), load_average()) == (os.cpu_count(), None)
