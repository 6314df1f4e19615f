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
    for name, stand_in in (
        ("slicer.ScriptedLoadableModule", loadable),
        ("slicer.packaging", packaging),
        ("qt", MagicMock()),
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


def test_the_buttons(module: ModuleType, scene: Any, add: Any, values: NDArray[np.int16], segmentation: Any) -> None:
    widget = module.MedSAMEngineWidget(MagicMock())
    widget.setup()
    shown = slicer.util.errorDisplay
    for call in (widget._segment, widget._undo, widget._begin):
        widget.markup.currentNode.return_value = None
        widget.volume.currentNode.return_value = None
        call()
    assert shown.call_count == 3
    volume = add(values, *CASES["ras"])
    widget.volume = SimpleNamespace(currentNode=lambda: volume)
    widget.segmentation = SimpleNamespace(currentNode=lambda: segmentation)
    widget.bundle = SimpleNamespace(currentPath=str(TINY))
    widget.window = widget.modality = SimpleNamespace(currentText="")
    widget._begin()
    assert shown.call_count == 3, shown.call_args
    segment = segmentation.GetSegmentation().AddEmptySegment("", "a")
    widget.editor.currentSegmentID.return_value = segment
    markup = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    matrix = CASES["ras"][0]
    markup.SetCenter(*(matrix @ [13, 8, 2, 1])[:3])
    markup.SetSize(*(np.diag(matrix)[:3] * [14, 8, 0]))
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


def test_every_choice_is_one(module: ModuleType, add: Any, values: NDArray[np.int16], segmentation: Any) -> None:
    """Sessions take every modality and window that the panel offers."""
    logic, volume = module.MedSAMEngineLogic(), add(values, *CASES["ras"])
    for modality in module.MODALITIES:
        logic.begin(str(TINY), volume, segmentation, "", modality)
    for window in module.WINDOWS:
        if window != "none":  # of values that are 0 to 255 already
            logic.begin(str(TINY), volume, segmentation, window, "CT")
