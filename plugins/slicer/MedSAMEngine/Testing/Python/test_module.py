# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The module's file on stand-ins for Qt and the classes of Slicer: its self test, and what its buttons call.

What Slicer would show is not tested.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import slicer
from numpy.typing import NDArray
from volume_matrices import CASES, TINY

from medsam_engine import InvalidArgument
from MedSAMEngineLib import segment_labelmaps

LITEMEDSAM = Path(__file__).resolve().parents[5] / "build" / "bundles" / "litemedsam"


class Base:
    """Stands for the four classes that Slicer's modules derive from."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.layout = MagicMock()

    def setup(self) -> None:
        pass

    def delayDisplay(self, text: str) -> None:
        assert text


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, scene: Any) -> ModuleType:
    loadable: Any = ModuleType("slicer.ScriptedLoadableModule")
    for name in ("", "Logic", "Test", "Widget"):
        setattr(loadable, f"ScriptedLoadableModule{name}", Base)
    packaging: Any = ModuleType("slicer.packaging")
    packaging.pip_ensure = MagicMock()
    qt = MagicMock()
    for name in ("QPushButton", "QCheckBox", "QComboBox", "QDoubleSpinBox", "QProgressBar"):
        setattr(qt, name, lambda text="": MagicMock(text=text))  # each one a widget of its own
    qt.QLineEdit = MagicMock(side_effect=lambda text="": MagicMock(text=text))
    for name, stand_in in (
        ("slicer.ScriptedLoadableModule", loadable),
        ("slicer.packaging", packaging),
        ("qt", qt),
        ("ctk", MagicMock()),
    ):
        monkeypatch.setitem(sys.modules, name, stand_in)
    for name, value in (
        ("packaging", packaging),
        ("mrmlScene", scene),
        ("app", MagicMock()),
        ("qMRMLNodeComboBox", MagicMock()),
        ("qMRMLSegmentEditorWidget", MagicMock()),
    ):
        monkeypatch.setattr(slicer, name, value, raising=False)
    monkeypatch.setattr(slicer.util, "arrayFromSegmentBinaryLabelmap", segment_labelmaps.read)
    monkeypatch.setattr(slicer.util, "WaitCursor", nullcontext)
    monkeypatch.setattr(slicer.util, "errorDisplay", MagicMock())
    monkeypatch.delitem(sys.modules, "MedSAMEngine", raising=False)
    return importlib.import_module("MedSAMEngine")


def test_the_self_test(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    if not LITEMEDSAM.is_dir():
        pytest.skip("no bundle at build/bundles/litemedsam; run `make bundle`")
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(LITEMEDSAM))
    module.MedSAMEngineTest().runTest()
    assert slicer.packaging.pip_ensure.call_args.args == ([module.REQUIREMENT],)


def panel(module: ModuleType, volume: Any, segmentation: Any) -> Any:
    """The module's panel with these nodes chosen and the tiny model, after Begin."""
    widget = module.MedSAMEngineWidget(MagicMock())
    widget.setup()
    widget.volume = SimpleNamespace(currentNode=lambda: volume)
    widget.segmentation = SimpleNamespace(currentNode=lambda: segmentation)
    widget.bundle = SimpleNamespace(currentPath=str(TINY))
    widget.window = widget.modality = SimpleNamespace(currentText="")
    widget.editor.segmentationNode.side_effect = lambda: widget.editor.setSegmentationNode.call_args.args[0]
    widget._begin()
    return widget


def region(scene: Any) -> Any:
    """A flat box on plane 2 of a volume under the matrix "ras"."""
    markup = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    matrix = CASES["ras"][0]
    markup.SetCenter(*(matrix @ [13, 8, 2, 1])[:3])
    markup.SetSize(*(np.diag(matrix)[:3] * [14, 8, 0]))
    return markup


def test_the_buttons(module: ModuleType, scene: Any, add: Any, values: NDArray[np.int16], segmentation: Any) -> None:
    widget = module.MedSAMEngineWidget(MagicMock())
    widget.setup()
    assert widget.distance.maximum == 10000.0  # mm; a spin box ends at 99.99 otherwise
    shown = slicer.util.errorDisplay
    for call in (widget._segment, widget._undo, widget._begin):
        widget.markup.currentNode.return_value = None
        widget.volume.currentNode.return_value = None
        call()
    assert shown.call_count == 3
    volume = add(values, *CASES["ras"])
    widget = panel(module, volume, segmentation)
    assert shown.call_count == 3, shown.call_args
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    widget.editor.currentSegmentID.return_value = segment
    markup = region(scene)
    widget.markup = SimpleNamespace(currentNode=lambda: markup)
    widget.positive = SimpleNamespace(checked=True)
    widget.distance = SimpleNamespace(value=0.0)

    def planes() -> list[int]:
        mask = segment_labelmaps.read(segmentation, segment, volume)
        return [int(number) for number in np.flatnonzero(mask.any(axis=(1, 2)))]

    widget._segment()
    assert planes() == [2]
    widget._propagate()
    assert len(planes()) > 1
    assert widget.progress.value == widget.progress.maximum
    widget._undo()
    assert planes() == [2]
    widget._redo()
    slicer.app.processEvents.side_effect = widget._cancel
    widget._propagate()
    assert "ancel" in shown.call_args.args[0]
    widget._reset()
    assert planes() == []
    widget.cleanup()
    assert widget.logic.session is None


def test_a_session_is_prompted_under_its_own_nodes_alone(
    module: ModuleType, scene: Any, add: Any, values: NDArray[np.int16], segmentation: Any
) -> None:
    volume, other = add(values, *CASES["ras"]), add(values[:, ::-1].copy(), *CASES["ras"])
    widget, shown = panel(module, volume, segmentation), slicer.util.errorDisplay
    drawn, elsewhere = region(scene), scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "elsewhere")
    widget.markup = SimpleNamespace(currentNode=lambda: drawn)
    widget.positive = SimpleNamespace(checked=True)
    session = widget.logic.session
    widget.editor.currentSegmentID.return_value = segmentation.GetSegmentation().AddEmptySegment("", "a")
    chosen = {"volume": lambda: other, "segmentation": lambda: elsewhere}
    for name, node in chosen.items():
        before = getattr(widget, name)
        setattr(widget, name, SimpleNamespace(currentNode=node))
        for call in (widget._segment, widget._propagate, widget._undo, widget._reset):
            call()
            assert "others are chosen now" in shown.call_args.args[0]
            shown.reset_mock()
        setattr(widget, name, before)
    widget.editor.setSegmentationNode(elsewhere)  # in the editor's own choice
    widget._segment()
    assert "others are chosen now" in shown.call_args.args[0]
    assert not session.session.objects
    widget.editor.setSegmentationNode(segmentation)
    widget._segment()
    assert len(session.session.objects) == 1


def test_nothing_but_cancel_is_enabled_while_a_step_runs(
    module: ModuleType, scene: Any, add: Any, values: NDArray[np.int16], segmentation: Any, monkeypatch: Any
) -> None:
    """What the editor painted during propagation would be lost."""
    buttons: dict[str, Any] = {}
    monkeypatch.setattr(module.qt, "QPushButton", lambda text: buttons.setdefault(text, MagicMock(enabled=True)))
    widget = panel(module, add(values, *CASES["ras"]), segmentation)
    drawn = region(scene)
    widget.markup = SimpleNamespace(currentNode=lambda: drawn)
    widget.positive = SimpleNamespace(checked=True)
    widget.distance = SimpleNamespace(value=0.0)
    widget.editor.currentSegmentID.return_value = segmentation.GetSegmentation().AddEmptySegment("", "a")
    widget._segment()
    paint, enabled = object(), []
    widget.editor.activeEffect.return_value = paint
    widget.editor.setActiveEffect(paint)

    def look() -> None:
        enabled.append({name for name, button in buttons.items() if button.enabled})
        assert widget.editor.enabled is False
        assert widget.editor.setActiveEffect.call_args.args == (None,)
        if len(enabled) == 2:
            widget._cancel()

    slicer.app.processEvents.side_effect = look
    widget._propagate()
    assert "ancel" in slicer.util.errorDisplay.call_args.args[0]
    assert enabled == [{"Cancel"}] * 2
    assert set(buttons) == {"Begin", "Segment", "Reset", "Propagate", "Cancel", "Undo", "Redo"}
    assert all(button.enabled for button in buttons.values())
    assert widget.editor.enabled is True
    assert widget.editor.setActiveEffect.call_args.args == (paint,)


def test_a_begin_that_fails_leaves_no_session(
    module: ModuleType, add: Any, values: NDArray[np.int16], segmentation: Any
) -> None:
    volume = add(values, *CASES["ras"])
    widget = panel(module, volume, segmentation)
    assert widget.logic.session is not None
    widget.bundle = SimpleNamespace(currentPath="/nowhere")
    widget.editor.reset_mock()
    widget._begin()
    assert "nowhere" in slicer.util.errorDisplay.call_args.args[0]
    assert widget.logic.session is None
    widget.editor.setSegmentationNode.assert_not_called()


def test_a_server_is_asked_where_one_is_named(
    module: ModuleType, add: Any, values: NDArray[np.int16], segmentation: Any
) -> None:
    """The session before is ended first, so that a server keeps its work."""
    logic = module.MedSAMEngineLogic()
    before = logic.session = MagicMock()
    with pytest.raises(InvalidArgument, match="start medsam-engine serve there"):
        logic.begin("/nowhere", add(values, *CASES["ras"]), segmentation, "", "", " http://127.0.0.1:9 ", "key")
    before.close.assert_called_once_with()
    assert logic.session is None


def test_every_choice_is_accepted(module: ModuleType, add: Any, values: NDArray[np.int16], segmentation: Any) -> None:
    """Sessions take every modality and window that the panel offers."""
    logic, volume = module.MedSAMEngineLogic(), add(values, *CASES["ras"])
    for modality in module.MODALITIES:
        logic.begin(str(TINY), volume, segmentation, "", modality)
    for window in module.WINDOWS:
        if window != "none":  # of values that are 0 to 255 already
            logic.begin(str(TINY), volume, segmentation, window, "CT")
