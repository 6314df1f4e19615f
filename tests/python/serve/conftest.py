# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A workplace on the tiny bundle, whose masks are the boxes that it is asked for, and a server for it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("blosc2")
pytest.importorskip("prometheus_client")

from served import KEY, Served, served

from medsam_engine import Engine
from medsam_engine.serve.access import Access
from medsam_engine.serve.workplace import Limits, Workplace


@pytest.fixture(scope="session")
def make_workplace(tiny_engine: Engine) -> Callable[..., Workplace]:
    def make(**limits: Any) -> Workplace:
        return Workplace(tiny_engine, Access("127.0.0.1", KEY), Limits(**limits))

    return make


@pytest.fixture(scope="module")
def server(make_workplace: Callable[..., Workplace]) -> Iterator[Served]:
    with served(make_workplace()) as running:
        yield running
