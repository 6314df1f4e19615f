# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The module for 3D Slicer: a panel over MedSAMEngineLib, which does the work and knows no Qt.

This file runs in Slicer alone. medsam-engine is imported when the user presses a button, since it may not be installed
before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

REQUIREMENT = "medsam-engine==0.1.0"  # the version that this module was made with
MARKUPS = ("ROI", "Fiducial", "Line", "Curve", "ClosedCurve")
MODALITIES = ("", "CT", "MR", "PT", "US", "XR", "MG", "ES", "OP")
WINDOWS = ("", "abdomen", "lung", "brain", "mediastinum", "bone", "percentile", "full", "none")


class MedSAMEngine(ScriptedLoadableModule):
    """What Slicer lists."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "MedSAM Engine"
        parent.categories = ["Segmentation"]
        parent.dependencies = ["Segmentations", "Markups"]
        parent.contributors = ["medsam-engine contributors"]
        parent.helpText = (
            "Draw a box, points, a line or a curve with the markups, choose a segment and press Segment. The mask goes "
            "into the segment, which the editor below may change. Not a medical device."
        )
        parent.acknowledgementText = "Models of the MedSAM family; see the documentation of medsam-engine."


class MedSAMEngineLogic(ScriptedLoadableModuleLogic):
    """Installs medsam-engine, and holds the engine and the session."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session: Any = None
        self._engine: tuple[str, Any] | None = None

    def install(self) -> None:
        """Asks, then installs medsam-engine into Slicer's Python, unless it is there."""
        try:
            from slicer import packaging
        except ImportError:  # before 5.12
            try:
                import medsam_engine  # noqa: F401 (whether it is there)
            except ImportError:
                slicer.util.pip_install(REQUIREMENT)
        else:
            packaging.pip_ensure([REQUIREMENT], requester="MedSAM Engine")

    def begin(
        self, bundle: str, volume: Any, segmentation: Any, window: str, modality: str, address: str = "", key: str = ""
    ) -> None:
        """Begins a session: on the server of an address, else in this process. After an error there is none.

        An empty bundle is the one that the command would take.
        """
        from MedSAMEngineLib.server_requests import Server
        from MedSAMEngineLib.volume_session import VolumeSession

        self.end()  # so that nothing prompts the session before under the new choice
        engine = Server(address, key) if address.strip() else self._loaded(bundle)
        self.session = VolumeSession(engine, volume, segmentation, window or None, modality or None)

    def end(self) -> None:
        """Ends the session, if there is one; a server keeps its work."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _loaded(self, bundle: str) -> Any:
        from medsam_engine import Engine, find_bundle

        folder = str(find_bundle(bundle or None))
        if self._engine is None or self._engine[0] != folder:
            self._engine = folder, Engine(folder, precision="auto")
        return self._engine[1]


class MedSAMEngineWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def setup(self) -> None:
        """Builds the panel; called by Slicer."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MedSAMEngineLogic()
        self._stop = False
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.volume = _node_box(["vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"], made=False)
        self.segmentation = _node_box(["vtkMRMLSegmentationNode"], made=True)
        self.markup = _node_box([f"vtkMRMLMarkups{kind}Node" for kind in MARKUPS], made=True)
        self.bundle = ctk.ctkPathLineEdit()
        self.bundle.filters = ctk.ctkPathLineEdit.Dirs
        self.address, self.key = qt.QLineEdit(), qt.QLineEdit()
        self.address.placeholderText = "none: in Slicer itself; or http://127.0.0.1:1527"
        self.key.echoMode = qt.QLineEdit.Password
        self.modality, self.window = qt.QComboBox(), qt.QComboBox()
        self.modality.addItems(MODALITIES)
        self.window.addItems(WINDOWS)
        self.window.editable = True
        self.positive = qt.QCheckBox("positive")
        self.positive.checked = True
        self.distance = qt.QDoubleSpinBox()
        self.distance.specialValueText = "auto"
        self.distance.maximum = 10000.0  # Qt's own is 99.99
        self.progress = qt.QProgressBar()
        for label, box in (
            ("Volume", self.volume),
            ("Segmentation", self.segmentation),
            ("Model", self.bundle),
            ("Server instead", self.address),
            ("Its key", self.key),
            ("Modality", self.modality),
            ("Window", self.window),
        ):
            form.addRow(label, box)
        begin, segment = _button("Begin", self._begin), _button("Segment", self._segment)
        reset, propagate = _button("Reset", self._reset), _button("Propagate", self._propagate)
        undo, redo = _button("Undo", self._undo), _button("Redo", self._redo)
        form.addRow(begin)
        form.addRow("Markup", self.markup)
        form.addRow(self.positive)
        form.addRow(segment, reset)
        form.addRow("Distance, mm", self.distance)
        form.addRow(propagate, _button("Cancel", self._cancel))
        form.addRow(undo, redo)
        form.addRow(self.progress)
        self._add_editor()
        choices = (self.volume, self.segmentation, self.bundle, self.address, self.key, self.modality, self.window)
        buttons = (begin, segment, reset, propagate, undo, redo)
        self._inputs = [*buttons, *choices, self.markup, self.positive, self.distance, self.editor]

    def cleanup(self) -> None:
        """Called by Slicer when the panel goes."""
        self.logic.end()

    def _add_editor(self) -> None:
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(slicer.mrmlScene)
        parameters = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode", "MedSAM Engine")
        self.editor.setMRMLSegmentEditorNode(parameters)
        self.layout.addWidget(self.editor)

    def _begin(self) -> None:
        volume, segmentation = self.volume.currentNode(), self.segmentation.currentNode()
        if volume is None or segmentation is None:
            slicer.util.errorDisplay("Choose a volume and a segmentation.")
            return
        self.logic.install()
        self._guarded(
            lambda: self.logic.begin(
                self.bundle.currentPath,
                volume,
                segmentation,
                self.window.currentText,
                self.modality.currentText,
                self.address.text,
                self.key.text,
            )
        )
        if self.logic.session is not None:
            self.editor.setSegmentationNode(segmentation)
            self.editor.setSourceVolumeNode(volume)

    def _segment(self) -> None:
        markup = self.markup.currentNode()
        if markup is None:
            slicer.util.errorDisplay("Draw a box, points, a line or a curve first.")
            return
        self._step(lambda session, segment: session.add_markup(segment, markup, bool(self.positive.checked)))

    def _reset(self) -> None:
        self._step(lambda session, segment: session.reset(segment))

    def _propagate(self) -> None:
        self._stop = False
        distance = self.distance.value or None
        self._step(
            lambda session, segment: session.propagate(
                segment, distance=distance, progress=self._show_progress, cancelled=lambda: self._stop
            )
        )

    def _undo(self) -> None:
        self._step(lambda session, _: session.undo())

    def _redo(self) -> None:
        self._step(lambda session, _: session.redo())

    def _cancel(self) -> None:
        self._stop = True

    def _show_progress(self, done: int, total: int) -> None:
        self.progress.maximum = total
        self.progress.value = done
        slicer.app.processEvents()  # so that Cancel is heard

    def _step(self, call: Callable[[Any, str], object]) -> None:
        session = self.logic.session
        if session is None:
            slicer.util.errorDisplay("Choose a volume and a segmentation, and press Begin.")
            return
        # The editor has a choice of segmentations of its own, and segments of two nodes may have the same ID.
        if (
            self.volume.currentNode() is not session.volume
            or self.segmentation.currentNode() is not session.segmentation
            or self.editor.segmentationNode() is not session.segmentation
        ):
            slicer.util.errorDisplay(
                f"The session is about volume {session.volume.GetName()!r} and segmentation "
                f"{session.segmentation.GetName()!r}, and others are chosen now. Choose these, or press Begin."
            )
            return
        segment = self.editor.currentSegmentID()
        if not segment:
            segment = session.segmentation.GetSegmentation().AddEmptySegment()
            self.editor.setCurrentSegmentID(segment)
        self._guarded(lambda: call(session, segment))

    def _guarded(self, call: Callable[[], object]) -> None:
        """Shows an error of medsam-engine as its one line; the session is as it was before.

        Cancel alone can be used meanwhile: propagation lets Qt work, and its masks would go over what is painted then.
        """
        from medsam_engine import Error

        effect = self.editor.activeEffect()
        self.editor.setActiveEffect(None)  # which would go on in the slice views of a disabled editor
        for each in self._inputs:
            each.enabled = False
        try:
            with slicer.util.WaitCursor():
                call()
        except Error as error:
            slicer.util.errorDisplay(str(error))
        finally:
            for each in self._inputs:
                each.enabled = True
            self.editor.setActiveEffect(effect)


class MedSAMEngineTest(ScriptedLoadableModuleTest):
    """The self test: a box on a bright block, with the model that is installed."""

    def runTest(self) -> None:
        """Called by Slicer."""
        import numpy as np

        slicer.mrmlScene.Clear()
        values = np.full((5, 64, 64), 40, np.int16)
        values[1:4, 20:40, 16:48] = 190
        volume = slicer.util.addVolumeFromArray(values, np.diag([-0.8, -0.8, 3.0, 1.0]), "block")
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "found")
        logic = MedSAMEngineLogic()
        logic.install()
        logic.begin("", volume, segmentation, "", "CT")
        segment = segmentation.GetSegmentation().AddEmptySegment("", "block")
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
        roi.SetCenter(-0.8 * 31.5, -0.8 * 29.5, 6.0)
        roi.SetSize(0.8 * 33, 0.8 * 21, 0.0)
        logic.session.add_markup(segment, roi)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume)
        overlap = np.count_nonzero(found[2][20:40, 16:48]) / (20 * 32)
        assert overlap > 0.8
        assert not found[[0, 1, 3, 4]].any()
        self.delayDisplay("Test passed")


def _node_box(kinds: list[str], made: bool) -> Any:
    """A choice of nodes of these kinds; with `made`, new ones can be made in it."""
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = kinds
    box.addEnabled = box.removeEnabled = box.renameEnabled = made
    box.noneEnabled = True
    box.setMRMLScene(slicer.mrmlScene)
    return box


def _button(text: str, call: Callable[[], object]) -> Any:
    button = qt.QPushButton(text)
    button.clicked.connect(lambda *_: call())
    return button
