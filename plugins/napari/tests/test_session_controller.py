# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Strokes on a viewer without a window become masks where they were drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from viewer_mouse import SHAPE, TINY, drag, lines, opened

from medsam_engine import Engine, Error, InvalidArgument, Session
from medsam_engine_napari.calls import run_now
from medsam_engine_napari.prompt_drawing import PromptDrawing, Tool
from medsam_engine_napari.session_controller import SessionController

LOW, HIGH, NUMBER = (1, 4, 6), (3, 12, 20), 2
# x0, y0, x1, y1 of these corners in a plane of each axis, as Session counts.
BOXES = ([6, 4, 20, 12], [6, 1, 20, 3], [4, 1, 12, 3])


def corners(axis: int) -> list[list[float]]:
    """From the far corner to the near one, as data coordinates."""
    return [[NUMBER if each == axis else end[each] for each in range(3)] for end in (HIGH, LOW)]


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_box_is_where_it_was_drawn(
    controller: SessionController, volume: NDArray[np.uint8], order: tuple[int, ...], flip: int
) -> None:
    """Any axis, transposed views, anisotropic scale, an affine with flips: the mask is the box's voxels alone."""
    affine = np.diag([flip, 1.0, -flip, 1.0])
    affine[:3, 3] = (7.5, -3.0, 100.0)
    layer = opened(controller, volume, scale=(2.5, 0.5, 0.8), affine=affine)
    viewer, axis = controller.viewer, order[0]
    viewer.dims.order = order
    index = np.zeros(3)
    index[axis] = NUMBER
    viewer.dims.set_point(range(3), layer.data_to_world(index))
    drag(PromptDrawing(controller).layer, corners(axis))
    assert controller.labels is not None, lines(controller)
    expected = Session(Engine(TINY, cache_dir="none"), volume, [0.8, 0.5, 2.5])
    expected.add_box("a", BOXES[axis], slice=NUMBER, axis=axis)
    np.testing.assert_array_equal(controller.labels.data, expected.mask("a"))
    inside = tuple(slice(NUMBER, NUMBER + 1) if each == axis else slice(LOW[each] + 1, HIGH[each]) for each in range(3))
    assert controller.labels.data[inside].all()  # the tiny model's mask is the box, give or take a pixel
    assert not np.delete(controller.labels.data, NUMBER, axis).any()
    np.testing.assert_array_equal(controller.labels.affine.affine_matrix, layer.affine.affine_matrix)
    np.testing.assert_array_equal(controller.labels.scale, layer.scale)
    assert controller.labels.data_to_world((1, 2, 3)) == layer.data_to_world((1, 2, 3))


def test_an_rgb_image(controller: SessionController) -> None:
    values = np.random.default_rng(1).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    opened(controller, values, rgb=True, scale=(0.5, 0.25))
    drag(PromptDrawing(controller).layer, [[3, 4], [12, 20]])
    expected = Session(Engine(TINY, cache_dir="none"), values, [0.25, 0.5])
    expected.add_box("a", [4, 3, 20, 12])
    assert controller.labels is not None
    np.testing.assert_array_equal(controller.labels.data, expected.mask("a"))
    assert controller.labels.data[3:12, 4:20].all()
    controller.propagate()
    assert lines(controller) == ["propagate: got an image, expected a volume"]


class Recorder:
    """Stands for the session: notes the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.objects: list[Any] = []

    def labels(self) -> NDArray[np.uint16]:
        return np.zeros(SHAPE, np.uint16)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: self.calls.append((name, given, named))


@pytest.mark.parametrize(
    ("tool", "data", "button", "modifiers", "expected"),
    [
        (Tool.POINT, [[2, 7, 9]], 1, [], ("add_click", [9, 7], True)),
        (Tool.POINT, [[2, 7, 9]], 2, [], ("add_click", [9, 7], False)),
        (Tool.POINT, [[2, 7, 9], [2, 20, 20]], 1, ["Shift"], ("add_click", [9, 7], False)),
        (Tool.BOX, [[2, 7, 9], [2, 7.1, 9]], 1, [], ("add_click", [9, 7], True)),
        (Tool.BOX, [[2, 7, 9], [2, 1, 30]], 1, [], ("add_box", [9, 1, 30, 7], None)),
        (Tool.BOX, [[2, 7, 9], [2, -5, 99]], 1, [], ("add_box", [9, 0, 31, 7], None)),
        (Tool.SCRIBBLE, [[2, 7, 9], [2, 8, 12], [2, 99, 12]], 1, [], ("add_scribble", [[9, 7], [12, 8]], True)),
        (Tool.LASSO, [[2, 7, 9], [2, 8, 12], [2, 99, 12]], 1, [], ("add_lasso", [[9, 7], [12, 8], [12, 23]], None)),
    ],
)
def test_what_a_stroke_means(
    controller: SessionController,
    volume: NDArray[np.uint8],
    tool: Tool,
    data: list[list[float]],
    button: int,
    modifiers: list[str],
    expected: tuple[str, Any, bool | None],
) -> None:
    opened(controller, volume)
    drawing, recorder = PromptDrawing(controller, tool), Recorder()
    controller.session = cast(Session, recorder)
    controller.viewer.dims.set_current_step(0, 2)
    drag(drawing.layer, data, button, modifiers)
    ((name, given, named),) = recorder.calls
    assert name == expected[0]
    assert given[0] == "object 1"
    np.testing.assert_allclose(np.array(given[1]), expected[1])
    if name == "add_box":
        assert given[2:] == (2, 0)
        return
    assert given[2:] == (() if expected[2] is None else (expected[2],))
    assert named == {"axis": 0, "slice": 2}
    assert len(drawing.layer.data) == 0  # the preview is gone


def test_the_sign_the_pan_tool_and_strokes_that_are_none(
    controller: SessionController, volume: NDArray[np.uint8]
) -> None:
    opened(controller, volume)
    drawing, recorder = PromptDrawing(controller, Tool.POINT), Recorder()
    controller.session = cast(Session, recorder)
    controller.toggle_sign()
    drag(drawing.layer, [[2, 7, 9]])
    assert recorder.calls.pop()[1][2] is False
    drawing.tool = Tool.PAN
    drag(drawing.layer, [[2, 7, 9]])
    drawing.tool = Tool.LASSO
    drag(drawing.layer, [[2, 7, 9]])
    drawing.tool = Tool.BOX
    drag(drawing.layer, [[2, 50, 50], [2, 60, 60]])
    drag(drawing.layer, [[2, 50, 50]])
    assert not recorder.calls
    assert [line.split(":")[0] for line in lines(controller)] == ["lasso", "box", "click"]
    controller.viewer.dims.ndisplay = 3
    drag(drawing.layer, [[2, 7, 9]])
    assert "got 3D" in lines(controller)[-1]


def test_objects_undo_lock_and_reset(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    opened(controller, volume)
    labels = controller.labels
    assert labels is not None
    box, other = [[4, 3], [12, 10]], [[10, 8], [20, 15]]
    controller.add_box(controller.plane(), box)
    controller.rename("liver")
    controller.lock(True)
    controller.new_object("tumor")
    controller.add_box(controller.plane(), other)
    here = controller.plane().slice
    assert labels.data[here, 9, 11] == 1  # locked
    assert labels.data[here, 14, 19] == 2
    counts = [int(np.count_nonzero(labels.data == label)) for label in (1, 2)]
    assert [(each.name, locked, voxels) for each, locked, voxels in controller.objects] == [
        ("liver", True, counts[0]),
        ("tumor", False, counts[1]),
    ]
    assert list(labels.features["object"]) == ["", "liver", "tumor"]
    controller.rename("liver")
    assert "another object" in lines(controller)[-1]
    before = labels.data.copy()
    controller.reset()
    assert not (labels.data == 2).any()
    controller.undo()
    np.testing.assert_array_equal(labels.data, before)
    controller.remove()
    assert [each.name for each, _, _ in controller.objects] == ["liver"]
    assert controller.current is not None
    assert controller.current.name == "liver"
    controller.undo()
    assert [each.name for each, _, _ in controller.objects] == ["liver", "tumor"]
    np.testing.assert_array_equal(labels.data, before)
    controller.redo()
    controller.new_object()
    controller.add_box(controller.plane(), other)
    assert labels.data[here, 14, 19] == 3  # a label is never given out twice
    controller.toggle_masks()
    assert not labels.visible


def test_the_layer_is_the_sessions_labels_after_any_steps(
    controller: SessionController, volume: NDArray[np.uint8]
) -> None:
    """What is in the layer must be what the session has, overlaps and all."""
    opened(controller, volume)
    random = np.random.default_rng(5)
    steps: list[Callable[[], object]] = [
        controller.undo,
        controller.redo,
        controller.reset,
        controller.new_object,
        lambda: controller.lock(bool(random.integers(2))),
        lambda: controller.select(controller.objects[int(random.integers(len(controller.objects)))][0]),
        *[lambda: controller.add_box(controller.plane(), random.integers(0, 24, (2, 2)))] * 4,
    ]
    for _ in range(120):
        controller.viewer.dims.set_current_step(0, int(random.integers(SHAPE[0])))
        steps[int(random.integers(len(steps)))]()
        assert controller.session is not None
        assert controller.labels is not None
        found = controller.session.objects
        labels = np.array([0, *(int(each.name.split()[1]) for each in found)])
        np.testing.assert_array_equal(controller.labels.data, labels[controller.session.labels()])


def test_propagation_has_progress_and_is_cancelled(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    opened(controller, volume)
    controller.viewer.dims.set_current_step(0, 2)
    controller.add_box(controller.plane(), [[6, 5], [18, 13]])
    assert controller.labels is not None
    before = controller.labels.data.copy()
    steps: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        steps.append((done, total))
        controller.cancel()

    controller.propagate(0, 4, progress=stop)
    assert len(steps) == 1
    assert "ancel" in lines(controller)[-1]
    np.testing.assert_array_equal(controller.labels.data, before)
    controller.propagate(0, 3, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    assert controller.labels.data.any(axis=(1, 2)).tolist() == [True] * 4 + [False]


def test_a_session_ends_with_its_pixels(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    layer = opened(controller, volume)
    controller.add_box(controller.plane(), [[6, 5], [18, 13]])
    labels = controller.labels
    assert labels is not None
    assert not labels.editable
    layer.data = volume + 1
    before = labels.data.copy()
    controller.undo()
    assert "other values" in lines(controller)[-1]
    np.testing.assert_array_equal(labels.data, before)
    controller.open(layer, TINY)
    assert controller.labels is not labels
    assert labels.editable
    controller.add_box(controller.plane(), [[6, 5], [18, 13]])
    controller.viewer.layers.remove(layer)
    assert controller.session is None
    controller.undo()
    assert "got none" in lines(controller)[-1]


def test_a_session_ends_with_its_voxel_sizes(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    layer = opened(controller, volume, scale=(2, 1, 1))
    controller.viewer.dims.set_current_step(0, 2)
    labels = controller.labels
    assert labels is not None
    layer.translate = (10, 20, 30)  # moves the plane, not the spacing
    controller.viewer.dims.set_point(0, 14)
    controller.add_box(controller.plane(), [[6, 5], [18, 13]])
    before = labels.data.copy()
    assert before[2].any()
    layer.scale = (4, 1, 1)
    assert labels.scale.tolist() == [4, 1, 1]
    with pytest.raises(InvalidArgument, match=r"4\.0\].*press Open again"):
        controller.plane()
    controller.undo()
    assert "press Open again" in lines(controller)[-1]
    np.testing.assert_array_equal(labels.data, before)
    layer.scale = (2, 1, 1)
    controller.undo()
    assert not labels.data.any()
    layer.units = "um"
    controller.redo()
    assert "press Open again" in lines(controller)[-1]


def test_a_step_that_ends_after_its_session_is_not_shown(
    controller: SessionController, volume: NDArray[np.uint8]
) -> None:
    held: list[tuple[Callable[[], Any], Callable[[Any], object]]] = []

    def later(call: Callable[[], Any], done: Callable[[Any], object], failed: Callable[[Error], object]) -> None:
        assert failed is not None
        held.append((call, done))

    layer = opened(controller, volume)
    controller._run = later
    controller.add_box(controller.plane(), [[6, 5], [18, 13]])
    labels = controller.labels
    controller.close()
    for call, done in held:
        done(call())
    assert labels is not None
    assert not labels.data.any()
    held.clear()
    controller.open(layer, TINY)
    controller.viewer.layers.remove(layer)
    for call, done in held:
        done(call())
    assert controller.session is None


def test_values_that_change_while_a_session_is_opened(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    held: list[Callable[[], object]] = []
    controller._run = lambda call, done, failed: held.append(lambda: run_now(call, done, failed))
    layer = controller.viewer.add_image(volume)
    controller.open(layer, TINY)
    layer.data = volume + 1
    held.pop()()
    assert controller.session is None
    assert "meanwhile" in lines(controller)[-1]
    controller.open(layer, TINY)
    layer.scale = (3, 1, 1)
    held.pop()()
    assert controller.session is None
    assert "scale changed meanwhile" in lines(controller)[-1]


def test_a_stroke_belongs_to_the_session_in_which_it_began(
    controller: SessionController, volume: NDArray[np.uint8]
) -> None:
    opened(controller, volume)
    first = PromptDrawing(controller)
    opened(controller, np.ascontiguousarray(volume.transpose(2, 1, 0)))
    drag(first.layer, [[2, 4, 6], [2, 12, 20]])
    assert controller.labels is not None
    assert not controller.labels.data.any()
    assert "another session" in lines(controller)[-1]


def test_an_invalid_model_is_said(controller: SessionController, volume: NDArray[np.uint8]) -> None:
    layer = controller.viewer.add_image(volume)
    controller.open(layer, "/nowhere")
    controller.open(controller.viewer.add_image(np.zeros((2, 3, 4, 5))), TINY)
    assert ["nowhere" in line or "4 axes" in line for line in lines(controller)] == [True, True]
    assert controller.session is None
