# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""napari-nninteractive as it comes from PyPI, on a viewer without a window, against our server (make plugins).

It is driven as a person drives it: layers get points, shapes and paint, and buttons are pressed. What its label layer
then has is what a Session says of the same prompts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("napari_nninteractive")
from napari.components import ViewerModel
from napari_nninteractive import widget_gui
from napari_nninteractive.widget_main import nnInteractiveWidget
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QApplication

from medsam_engine import Engine, Session

BUNDLE = Path(__file__).resolve().parents[1] / "data/tiny_bundle"
KEY = "a-key-that-is-long-enough"
SHAPE = (12, 28, 32)
LABELS = "nnInteractive - Label Layer"
POINT, BOX, SCRIBBLE, LASSO = range(4)
DEADLINE = 120.0  # seconds after which a test gives up; nothing waits for it otherwise


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server in a process of its own."""
    command = [sys.executable, "-m", "medsam_engine", "serve", "--bundle", str(BUNDLE), "--port", "0", "--no-browser"]
    folder = tmp_path_factory.mktemp("served")
    command += ["--save-folder", str(folder)]
    environment = {**os.environ, "MEDSAM_ENGINE_KEY": KEY, "XDG_CACHE_HOME": str(folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"MITK: (http://\S+)", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        # A server whose log nobody reads waits for room in the pipe.
        reader = threading.Thread(target=deque, args=(process.stderr, 0), daemon=True)
        reader.start()
        yield found[1]
        process.terminate()
        assert process.wait(DEADLINE) == 0
        reader.join()


@pytest.fixture(scope="module", autouse=True)
def application() -> QApplication:
    return QApplication.instance() or QApplication([])


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = np.random.default_rng(2).integers(0, 60, SHAPE).astype(np.uint8)
    values[4:9, 4:12, 6:20] += 150
    return values


class Person:
    """Who sits before the plugin: every method is what a hand does."""

    def __init__(self, address: str, volume: NDArray[np.uint8]) -> None:
        self.viewer = ViewerModel()
        object.__setattr__(self.viewer, "window", MagicMock())
        self.viewer.add_image(volume, name="scan")
        self.widget = nnInteractiveWidget(self.viewer)
        self.widget.server_url_edit.setText(address)
        self.widget.api_key_edit.setText(KEY)
        self.widget.propagate_ckbx.setChecked(False)
        self.initialize()

    def initialize(self) -> None:
        """Presses Initialize, and waits until the image is uploaded."""
        self.widget._active_checkpoint_text = None  # set when all is done
        self.widget.on_init_button()
        end = time.monotonic() + DEADLINE
        while self.widget._active_checkpoint_text is None:
            QApplication.processEvents()
            assert time.monotonic() < end, self.widget.remote_status_label.text()

    def tool(self, kind: int, *, positive: bool = True) -> Any:
        """Chooses a tool; its layer."""
        self.widget.prompt_button._on_button_pressed(0 if positive else 1)
        if self.widget.interaction_button.index != kind:
            self.widget.interaction_button._on_button_pressed(kind)
        return self.viewer.layers[self.widget.layer_dict[kind]]

    def point(self, z: int, y: int, x: int, *, positive: bool = True) -> None:
        self.tool(POINT, positive=positive).add(np.array([[z, y, x]]))

    def box(self, z: int, low: tuple[float, float], high: tuple[float, float]) -> None:
        (y0, x0), (y1, x1) = low, high
        self.tool(BOX).add(np.array([[z, y0, x0], [z, y0, x1], [z, y1, x1], [z, y1, x0]]), shape_type="rectangle")

    def lasso(self, z: int, corners: list[tuple[float, float]]) -> None:
        self.viewer.dims.set_point(0, z)
        self.tool(LASSO).add(np.array([[z, y, x] for y, x in corners]), shape_type="polygon")

    def scribble(self, z: int, y: int, columns: range) -> None:
        self.viewer.dims.set_point(0, z)
        layer = self.tool(SCRIBBLE)
        layer.brush_size = 1
        with layer.block_history():
            for x in columns:
                layer.paint((z, y, x), 1)

    def undo(self) -> None:
        self.widget.on_undo()

    def next_object(self) -> None:
        self.widget.on_next()

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """The object that is being drawn."""
        mask: NDArray[np.bool_] = self.viewer.layers[LABELS].data > 0
        return mask


@pytest.fixture
def person(
    address: str, volume: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Person]:
    monkeypatch.setattr(widget_gui.VersionChecker, "start", lambda _self: None)  # it asks PyPI
    failed: list[BaseException] = []  # in Qt's slots, where napari shows an error and goes on
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _where: failed.append(error))
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(tmp_path))
    person = Person(address, volume)
    yield person
    person.widget._release_session()
    person.widget.deleteLater()
    assert not failed, failed


@pytest.fixture
def session(volume: NDArray[np.uint8]) -> Session:
    return Session(Engine(BUNDLE), volume, encode_ahead=False)


def test_a_box_and_its_undo(person: Person, session: Session) -> None:
    person.box(6, (4.4, 6.2), (11.6, 19.7))
    session.add_box("a", (6, 4, 19, 11), slice=6)
    assert person.drawn.any()
    np.testing.assert_array_equal(person.drawn, session.mask("a"))
    person.undo()
    assert not person.drawn.any()


def test_points(person: Person, session: Session) -> None:
    person.point(6, 8, 13)
    session.add_click("a", (13, 8), slice=6)
    assert person.drawn[6, 8, 13]
    np.testing.assert_array_equal(person.drawn, session.mask("a"))
    _, y, x = np.argwhere(person.drawn)[0].tolist()
    person.point(6, y, x, positive=False)
    session.add_click("a", (x, y), False, slice=6)
    assert not person.drawn[6, y, x]
    np.testing.assert_array_equal(person.drawn, session.mask("a"))


def test_a_scribble(person: Person, session: Session) -> None:
    person.scribble(6, 8, range(10, 16))
    session.add_scribble("a", [(x, 8) for x in range(10, 16)], slice=6)
    assert person.drawn.any()
    np.testing.assert_array_equal(person.drawn, session.mask("a"))


def test_a_lasso(person: Person, session: Session) -> None:
    corners = [(4.0, 6.0), (4.0, 19.0), (11.0, 19.0), (11.0, 6.0)]
    person.lasso(6, corners)
    session.add_lasso("a", [(x, y) for y, x in corners], slice=6)
    assert person.drawn.any()
    np.testing.assert_array_equal(person.drawn, session.mask("a"))


def test_the_next_object_begins_empty_and_the_first_is_kept(person: Person, session: Session) -> None:
    person.box(6, (4, 6), (12, 20))
    first = person.drawn
    person.next_object()
    assert not person.drawn.any()
    person.box(2, (14, 6), (22, 20))
    session.add_box("b", (6, 14, 19, 21), slice=2)
    np.testing.assert_array_equal(person.drawn, session.mask("b"))
    kept = [layer.data > 0 for layer in person.viewer.layers if layer.name.startswith("object 1")]
    assert len(kept) == 1
    np.testing.assert_array_equal(kept[0], first)


def test_auto_zoom_carries_a_box_as_a_session_does(person: Person, session: Session) -> None:
    person.widget.propagate_ckbx.setChecked(True)
    person.box(6, (4, 6), (12, 20))
    session.add_box("a", (6, 4, 19, 11), slice=6)
    session.propagate("a")
    assert person.drawn.any(axis=(1, 2)).sum() > 1
    np.testing.assert_array_equal(person.drawn, session.mask("a"))


def test_a_lost_session_is_resumed_with_what_was_drawn(person: Person) -> None:
    person.box(6, (4, 6), (12, 20))
    first = person.drawn
    person.widget.session._http.post("/release")  # the server forgets the lease, and the plugin does not know
    person.box(2, (14, 6), (22, 20))
    assert person.widget.remote_status_label.text() == "session lost"
    person.initialize()
    np.testing.assert_array_equal(person.drawn, first)
    person.box(2, (14, 6), (22, 20))
    assert person.drawn[2].any()
    np.testing.assert_array_equal(person.drawn[6], first[6])
