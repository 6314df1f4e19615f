# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The panel under Qt without a screen: napari's window needs OpenGL, the panel does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import entry_points
from threading import Event, Thread, current_thread, main_thread

import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray
from viewer_mouse import TINY, drag

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("qtpy.QtWidgets", reason="no Qt binding")
from npe2 import PluginManifest
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from medsam_engine import Engine, Session
from medsam_engine_napari.prompt_drawing import Tool
from medsam_engine_napari.widget import MODALITIES, WINDOWS, SegmentWidget


@pytest.fixture(scope="module")
def application() -> QApplication:
    return QApplication.instance() or QApplication([])


@pytest.fixture
def widget(application: QApplication, viewer: ViewerModel, volume: NDArray[np.uint8]) -> Iterator[SegmentWidget]:
    assert application
    viewer.add_image(volume, scale=(2, 1, 1))
    made = SegmentWidget(viewer)
    made.bundle.setText(str(TINY))
    finish(made, made._open)
    yield made
    made.close()


def finish(widget: SegmentWidget, call: Callable[[], object]) -> None:
    """Makes the call and lets Qt run until no call of the session waits any more."""
    loop = QEventLoop()
    guard = QTimer()
    guard.setSingleShot(True)
    guard.timeout.connect(loop.quit)  # so that a queue that never ends is a failure and no hang
    ended: list[bool] = []

    def stop(busy: bool) -> None:
        if not busy:
            ended.append(True)
            loop.quit()

    widget.queue.busy.connect(stop)
    call()
    if not ended:
        guard.start(60_000)
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    widget.queue.busy.disconnect(stop)
    assert ended


def test_open_draw_and_undo(widget: SegmentWidget) -> None:
    controller = widget.controller
    assert widget.drawing is not None, widget.message.text()
    assert controller.labels is not None
    widget.viewer.dims.set_current_step(0, 2)
    layer = widget.drawing.layer
    assert widget.viewer.layers.selection.active is layer
    finish(widget, lambda: drag(layer, [[2, 4, 6], [2, 12, 20]]))
    assert controller.labels.data[2, 6:11, 8:18].all()
    assert widget.objects.count() == 1
    assert f"{np.count_nonzero(controller.labels.data)} voxels" in widget.objects.item(0).text()
    finish(widget, widget._propagate)
    assert controller.labels.data.any(axis=(1, 2)).sum() > 1
    for _ in range(2):
        finish(widget, controller.undo)
    assert not controller.labels.data.any()


def test_calls_run_in_order_away_from_the_viewers_thread(widget: SegmentWidget) -> None:
    """The second call waits for the first, and the viewer's thread for neither."""
    begun = Event()
    order: list[object] = []
    threads: list[Thread] = []

    def call(number: int) -> None:
        if number == 1:
            assert begun.wait(60)  # set by this thread after the call was queued: it has not waited
        threads.append(current_thread())
        order.append(number)

    def queue() -> None:
        for number in (1, 2):
            widget.queue(partial(call, number), order.append, order.append)
        begun.set()

    finish(widget, queue)
    assert order == [1, None, 2, None]
    assert main_thread() not in threads


def test_keys_of_our_layers_win_over_naparis(widget: SegmentWidget) -> None:
    assert widget.drawing is not None
    layer, controller = widget.drawing.layer, widget.controller
    keymap = {str(key): call for key, call in layer.keymap.items()}
    for key, tool in (("S", Tool.SCRIBBLE), ("P", Tool.POINT), ("L", Tool.LASSO), ("B", Tool.BOX)):
        keymap[key](layer)
        assert widget.drawing.tool is tool
    keymap["T"](layer)
    assert controller.positive is False
    keymap["M"](layer)
    assert [each.label for each, _, _ in controller.objects] == [1, 2]
    keymap["V"](layer)
    assert controller.labels is not None
    assert not controller.labels.visible
    assert {"Ctrl+Z", "Ctrl+Shift+Z", "R", "Escape"} <= set(keymap)
    assert set(keymap) == {str(key) for key in controller.labels.keymap}


def test_a_second_session_has_one_layer_of_prompts(widget: SegmentWidget) -> None:
    first = widget.drawing
    finish(widget, widget._open)
    assert widget.drawing is not first
    assert [layer.name for layer in widget.viewer.layers].count("prompts") == 1
    widget.bundle.setText("/nowhere")
    finish(widget, widget._open)
    assert "nowhere" in widget.message.text()


def test_every_choice_is_accepted(volume: NDArray[np.uint8]) -> None:
    """Sessions take every modality and window that the panel offers."""
    engine = Engine(TINY, cache_dir="none")
    for modality in MODALITIES:
        Session(engine, volume, modality=modality or None)
    for window in WINDOWS:
        Session(engine, volume, window=window or None)


def test_the_manifest_names_the_widget() -> None:
    (entry,) = entry_points(group="napari.manifest", name="medsam-engine-napari")
    assert entry.value == "medsam_engine_napari:napari.yaml"
    manifest = PluginManifest.from_distribution("medsam-engine-napari")
    manifest.validate_imports()
    (command,) = manifest.contributions.commands or []
    assert command.python_name == f"{SegmentWidget.__module__}:{SegmentWidget.__qualname__}"
    assert [each.command for each in manifest.contributions.widgets or []] == [command.id]
