# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The panel: thin, since what it does is the controller's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_warning
from napari.viewer import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from medsam_engine import Error, find_bundle
from medsam_engine.windows import CT_PRESETS
from medsam_engine_napari.prompt_drawing import PromptDrawing, Tool
from medsam_engine_napari.session_controller import SessionController
from medsam_engine_napari.worker_queue import WorkerQueue

MODALITIES = ("", "CT", "MR", "PT", "US", "XR", "MG", "ES", "OP")
WINDOWS = ("", *CT_PRESETS, "percentile", "full", "none")
KEYS_OF_TOOLS = {"P": Tool.POINT, "B": Tool.BOX, "S": Tool.SCRIBBLE, "L": Tool.LASSO, "Escape": Tool.PAN}
KEYS = "B box, P click, S scribble, L lasso, T sign, M next object, R reset, V masks, Ctrl+Z undo, Esc pan"


class SegmentWidget(QWidget):
    """One panel on one viewer: choose a layer and a model, press Open, draw.

    Args:
        napari_viewer: given by napari.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.queue = WorkerQueue(self)
        self.controller = SessionController(napari_viewer, self.queue)
        self.drawing: PromptDrawing | None = None
        self._build()
        self.controller.changed.connect(self._show_objects)
        self.controller.said.connect(self._tell)
        self.queue.busy.connect(self._show_busy)
        self.queue.progress.connect(self._show_progress)
        for event in ("inserted", "removed"):
            getattr(napari_viewer.layers.events, event).connect(self._list_layers)
        self._list_layers()
        self._encoding = QTimer(self)
        self._encoding.timeout.connect(self._show_encoding)
        self._encoding.start(500)

    # ---- Building ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.layers, self.preset, self.modality = QComboBox(), QComboBox(), QComboBox()
        self.preset.setEditable(True)  # WIDTH,LEVEL
        self.preset.addItems(WINDOWS)
        self.modality.addItems(MODALITIES)
        self.bundle = QLineEdit(_default_bundle())
        self.objects, self.name, self.locked = QListWidget(), QLineEdit(), QCheckBox("locked")
        self.first, self.last, self.distance = (_optional_number() for _ in range(3))
        self.tool = QLabel(Tool.PAN.value)
        self.progress, self.message = QProgressBar(), QLabel(KEYS)
        self.message.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Image", self.layers)
        form.addRow("Model", _row(self.bundle, _button("...", self._choose_bundle)))
        form.addRow("Modality", self.modality)
        form.addRow("Window", self.preset)
        form.addRow(_button("Open", self._open))
        form.addRow("Tool", self.tool)
        form.addRow(self.objects)
        form.addRow("Name", _row(self.name, self.locked))
        controller = self.controller
        form.addRow(
            _row(
                _button("New", controller.new_object),
                _button("Reset", controller.reset),
                _button("Remove", controller.remove),
                _button("Undo", controller.undo),
                _button("Redo", controller.redo),
            )
        )
        form.addRow("From, to slice", _row(self.first, self.last))
        form.addRow("Distance, mm", self.distance)
        form.addRow(_row(_button("Propagate", self._propagate), _button("Cancel", controller.cancel)))
        box = QVBoxLayout(self)
        box.addLayout(form)
        box.addWidget(self.progress)
        box.addWidget(self.message)
        self.objects.currentRowChanged.connect(self._select)
        self.name.editingFinished.connect(self._rename)
        self.locked.clicked.connect(controller.lock)

    def _bind_keys(self) -> None:
        """On our two layers themselves: for their kinds, napari has tools of its own under some of these keys."""
        controller = self.controller
        calls: dict[str, Callable[[], object]] = {
            "T": controller.toggle_sign,
            "M": controller.new_object,
            "R": controller.reset,
            "V": controller.toggle_masks,
            "Control-Z": controller.undo,
            "Control-Shift-Z": controller.redo,
        }
        calls |= {key: partial(self.choose, tool) for key, tool in KEYS_OF_TOOLS.items()}
        if self.drawing is None or controller.labels is None:
            return
        for target in (self.drawing.layer, controller.labels):
            for key, call in calls.items():
                target.bind_key(key, partial(_without_layer, call), overwrite=True)

    # ---- What the user does ------------------------------------------------------------------------------------------

    def choose(self, tool: Tool) -> None:
        """Takes a tool in hand."""
        if self.drawing is not None and self.drawing.layer in self.viewer.layers:
            self.drawing.tool = tool
            self.tool.setText(f"{tool.value}, {'positive' if self.controller.positive else 'negative'}")

    def _open(self) -> None:
        layer = self.layers.currentData()
        if not isinstance(layer, Image):
            self._tell("image: got none, expected a layer; open a scan or a picture first")
            return
        self.controller.open(
            layer, self.bundle.text(), self.preset.currentText() or None, self.modality.currentText() or None
        )

    def _propagate(self) -> None:
        first, last, distance = (_number(box) for box in (self.first, self.last, self.distance))
        self.controller.propagate(first, last, distance, self.queue.progress.emit)

    def _choose_bundle(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "The folder of a model", self.bundle.text())
        if folder:
            self.bundle.setText(folder)

    def _select(self, row: int) -> None:
        listed = self.controller.objects
        if 0 <= row < len(listed) and listed[row][0] is not self.controller.current:
            self.controller.select(listed[row][0])

    def _rename(self) -> None:
        current = self.controller.current
        if current is not None and self.name.text() != current.name:
            self.controller.rename(self.name.text())

    # ---- What the user sees ------------------------------------------------------------------------------------------

    def _list_layers(self, *_: Any) -> None:
        chosen = self.layers.currentData()
        self.layers.clear()
        for layer in self.viewer.layers:
            if isinstance(layer, Image):
                self.layers.addItem(layer.name, layer)
        if (row := self.layers.findData(chosen)) >= 0:
            self.layers.setCurrentIndex(row)

    def _show_objects(self) -> None:
        self._follow_session()
        current = self.controller.current
        self.objects.blockSignals(True)
        self.objects.clear()
        for row, (each, locked, voxels) in enumerate(self.controller.objects):
            self.objects.addItem(f"{each.label}: {each.name}, {voxels} voxels{', locked' if locked else ''}")
            if each is current:
                self.objects.setCurrentRow(row)
                self.locked.setChecked(locked)
        self.objects.blockSignals(False)
        self.name.setText(current.name if current is not None else "")
        if self.drawing is not None:
            self.choose(self.drawing.tool)

    def _follow_session(self) -> None:
        """A new session gets a new layer for prompts; the one before is taken away."""
        if self.drawing is not None and self.drawing.labels is self.controller.labels:
            return
        if self.drawing is not None and self.drawing.layer in self.viewer.layers:
            self.viewer.layers.remove(self.drawing.layer)
        self.drawing = None
        if self.controller.labels is not None:
            self.drawing = PromptDrawing(self.controller)
            self._bind_keys()

    def _show_busy(self, busy: bool) -> None:
        self.progress.setRange(0, 0 if busy else 1)
        if busy:
            self.message.setText("working ...")
        elif self.message.text() == "working ...":
            self.message.setText(KEYS)

    def _show_progress(self, done: int, total: int) -> None:
        self.progress.setRange(0, total)
        self.progress.setValue(done)

    def _show_encoding(self) -> None:
        session = self.controller.session
        if session is not None:
            state = session.encoding
            self.progress.setFormat(f"%p %   encoded {state.encoded}/{state.total}")

    def _tell(self, line: str) -> None:
        self.message.setText(line)
        show_warning(line)


def _default_bundle() -> str:
    """The bundle that the command would take; empty where there is none."""
    try:
        return str(find_bundle())
    except Error:
        return ""


def _without_layer(call: Callable[[], object], _: object) -> None:
    call()


def _button(text: str, call: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda _: call())
    return button


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def _optional_number() -> QSpinBox:
    """A number or, at its lowest value, none."""
    box = QSpinBox()
    box.setRange(-1, 100000)
    box.setValue(-1)
    box.setSpecialValueText("auto")
    return box


def _number(box: QSpinBox) -> int | None:
    return None if box.value() == box.minimum() else int(box.value())
