# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A mask while it is propagated: what watchers are told is what the step then is, and what cancel() keeps."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_builder import affine
from nifti_builder import save as save_nifti
from numpy.typing import NDArray

from medsam_engine import Cancelled, Engine, io
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.masks import mask_of
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.events import _events
from medsam_engine.serve.study import Study

SHAPE = (9, 40, 48)
BOXES: dict[int, tuple[list[float], int]] = {0: ([10, 5, 30, 25], 4), 1: ([8, 1, 30, 7], 20), 2: ([6, 1, 30, 7], 24)}


@pytest.fixture
def opened(tiny_engine: Engine, tmp_path: Path) -> OpenStudy:
    values = np.random.default_rng(4).integers(-500, 500, SHAPE).astype(np.int16)
    image = io.read(save_nifti(tmp_path / "scan.nii.gz", values.transpose(), affine(2)))
    return OpenStudy(Study(tiny_engine, image, "scan"))


def drawn(opened: OpenStudy, axis: int) -> NDArray[np.bool_]:
    """The mask after a box, from which a propagation begins."""
    box, index = BOXES[axis]
    opened.prompt(bodies.Box(kind="box", object="a", box=box, axis=axis, slice=index))
    return opened.study.session.mask("a")


def put(mask: NDArray[np.bool_], told: dict[str, Any]) -> None:
    """Writes a sent mask as the page does."""
    x0, y0, z0, x1, y1, z1 = told["box"]
    part = mask[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
    part[...] = mask_of(told["runs"], part.shape)


def watch(opened: OpenStudy, told: list[dict[str, Any]]) -> Any:
    """Collects all planes as they are kept."""
    seen = 0

    def wake() -> None:
        nonlocal seen
        seen, planes = opened.growth.after(seen)
        told.extend(planes)

    return opened.growth.watched(wake)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_planes_are_those_of_the_step(opened: OpenStudy, axis: int) -> None:
    """One after the other, on top of what the object was, they are the mask of an undivided propagation."""
    drawn(opened, axis)
    session = opened.study.session
    session.propagate("a", axis=axis)
    undivided = session.mask("a")
    session.undo()
    session.add_click("a", (1, 1), slice=0, axis=(axis + 1) % 3)  # voxels that the propagation takes away
    mask = session.mask("a")
    told: list[dict[str, Any]] = []
    with watch(opened, told):
        reply = opened.propagate(bodies.Propagate(object="a", axis=axis))
    assert len(told) > 2
    for plane in told:
        assert plane["revision"] == reply["revision"] - 1
        put(mask, plane["mask"])
    final = session.mask("a")
    span = {plane["mask"]["box"][2 - axis] for plane in told}
    for index in span:
        np.testing.assert_array_equal(mask.take(index, axis), final.take(index, axis))
        np.testing.assert_array_equal(final.take(index, axis), undivided.take(index, axis))
    assert reply["reached"]["done"] == reply["reached"]["total"]
    assert opened.growth.standing is None
    assert opened.growth.after(0) == (len(told), [])


def test_cancel_keeps_what_was_reached(opened: OpenStudy) -> None:
    before = drawn(opened, 0)
    told: list[dict[str, Any]] = []
    with watch(opened, told), opened.growth.watched(opened.cancel):
        reply = opened.propagate(bodies.Propagate(object="a"))
    assert reply["reached"]["cancelled"]
    assert reply["reached"]["done"] < reply["reached"]["total"]
    assert len(told) == 1
    mask = before.copy()
    put(mask, told[0]["mask"])
    assert (mask != before).any()
    np.testing.assert_array_equal(opened.study.session.mask("a"), mask)
    opened.step(lambda session: session.undo())
    np.testing.assert_array_equal(opened.study.session.mask("a"), before)


def test_a_study_that_is_closed_is_not_propagated(opened: OpenStudy) -> None:
    before = drawn(opened, 0)
    opened.closed.set()
    with pytest.raises(Cancelled):
        opened.propagate(bodies.Propagate(object="a"))
    np.testing.assert_array_equal(opened.study.session.mask("a"), before)
    assert opened.growth.standing is None


def test_events_of_a_propagation(opened: OpenStudy) -> None:
    """Each plane once, then the revision, then the end of the propagation: a page knows that a step was made."""
    drawn(opened, 0)
    seen = threading.Event()

    def propagated() -> None:
        # The planes of a propagation that is over are told no more: it waits until the stream has had the first.
        with opened.growth.watched(lambda: seen.wait(60)):
            opened.propagate(bodies.Propagate(object="a"))

    async def told() -> list[tuple[str, Any]]:
        events: list[tuple[str, Any]] = []
        ending = threading.Event()
        step: asyncio.Future[Any] | None = None
        async for text in _events(opened, ending):
            name, data = (line.partition(": ")[2] for line in text.strip().split("\n"))
            events.append((name, json.loads(data)))
            if step is None and name == "saved":  # the last of the first look
                step = asyncio.get_running_loop().run_in_executor(None, propagated)
            if name == "grown":
                seen.set()
            if events[-1] == ("revision", {"revision": 2}) and step is not None:
                await step
                ending.set()
        return events

    events = asyncio.run(asyncio.wait_for(told(), 60))
    names = [name for name, _ in events]
    planes = [value["mask"]["box"][2] for name, value in events if name == "grown"]
    assert planes
    assert len(set(planes)) == len(planes)
    assert names.index("grown") < max(k for k, event in enumerate(events) if event == ("revision", {"revision": 2}))
    assert names[-1] == "closed"
