# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A workplace on the tiny bundle, whose masks are the boxes that it is asked for, and a server for it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("blosc2")
pytest.importorskip("prometheus_client")

import protocol_client
from drawing_client import SHAPE, DrawingClient
from served import KEY, Served, served

from medsam_engine import Engine, Session
from medsam_engine.serve.access import Access
from medsam_engine.serve.nninteractive.drawing import Drawing
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


@pytest.fixture(scope="module")
def drawn_volume() -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 60, SHAPE).astype(np.uint8)
    values[8:16, 4:12, 6:20] += 150
    return values


@pytest.fixture
def new_session(tiny_engine: Engine, drawn_volume: NDArray[np.uint8]) -> Callable[[], Session]:
    return lambda: Session(tiny_engine, drawn_volume, encode_ahead=False)


@pytest.fixture
def drawing(new_session: Callable[[], Session]) -> Drawing:
    drawing = Drawing(new_session(), SHAPE, (1.0, 1.0, 1.0))
    drawing.propagates = False
    return drawing


@pytest.fixture
def drawing_client(drawing: Drawing) -> DrawingClient:
    return DrawingClient(drawing)


@pytest.fixture(scope="session")
def small_volume() -> NDArray[np.uint8]:
    """A bright block, of the shape that protocol_client has."""
    values: NDArray[np.uint8] = np.random.default_rng(2).integers(0, 60, protocol_client.SHAPE).astype(np.uint8)
    values[4:9, 4:12, 6:20] += 150
    return values


@pytest.fixture
def client(server: Served, small_volume: NDArray[np.uint8]) -> Iterator[Any]:
    """The official client, with an image and a target buffer, for a slice at a time."""
    client = protocol_client.connected(server)
    client.set_do_autozoom(False)
    client.set_image(small_volume[np.newaxis], {"spacing": [2.0, 1.0, 1.0]})
    client.set_target_buffer(np.zeros(protocol_client.SHAPE, np.uint8))
    yield client
    client.close()
