# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Parts of masks, previews, and reading while another thread's call runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session

BOX = [8, 4, 23, 15]


@pytest.fixture(scope="module")
def volume() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (8, 24, 40), np.uint8)


@pytest.fixture
def session(tiny_engine: Engine, volume: NDArray[np.uint8]) -> Session:
    return Session(tiny_engine, volume, spacing=[1, 1, 2.5], encode_ahead=False)


def test_a_part_of_a_mask_is_that_part(session: Session) -> None:
    changed = session.add_box("a", BOX, slice=3)
    assert changed is not None
    x0, y0, z0, x1, y1, z1 = changed
    part = session.mask("a", changed)
    assert part.dtype == np.bool_
    assert part.any()
    np.testing.assert_array_equal(part, session.mask("a")[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1])


def test_a_part_of_an_images_mask(tiny_engine: Engine, volume: NDArray[np.uint8]) -> None:
    session = Session(tiny_engine, volume[0])
    session.add_box("a", BOX)
    np.testing.assert_array_equal(session.mask("a", [9, 5, 0, 20, 15, 0]), session.mask("a")[5:16, 9:21])


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 0, 1, 1],
        5,
        "box",
        [0, 0, 0, 1, 1, 1.5],
        [0, 0, 0, 40, 1, 1],
        [-1, 0, 0, 1, 1, 1],
        [3, 0, 0, 2, 1, 1],
        [0, 0, 0, 1, 1, 2**62],
        [-(2**62), 0, 0, 2**62, 1, 1],
        [0, 0, 0, 1, 1, 2**64],
    ],
)
def test_a_part_that_is_none_is_refused(session: Session, box: list[int]) -> None:
    session.add_box("a", BOX, slice=3)
    with pytest.raises(InvalidArgument, match="box: got"):
        session.mask("a", box)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_preview_is_what_the_call_finds(session: Session, axis: int) -> None:
    box, point = [3, 2, 17, 6], [9, 4]
    assert session.preview_box(box, slice=3, axis=axis) is None  # not encoded yet
    assert session.preview_click(point, slice=3, axis=axis) is None
    session.add_box("a", box, slice=3, axis=axis)
    steps = session.undo_steps
    preview = session.preview_box(box, slice=3, axis=axis)
    assert preview is not None
    np.testing.assert_array_equal(preview, np.take(session.mask("a"), 3, axis))
    preview = session.preview_click(point, slice=3, axis=axis)
    assert (session.undo_steps, len(session.objects)) == (steps, 1)
    session.add_click("b", point, slice=3, axis=axis)
    np.testing.assert_array_equal(preview, np.take(session.mask("b"), 3, axis))


def test_a_preview_refuses_what_the_call_refuses(session: Session) -> None:
    calls: list[Callable[[], object]] = [
        lambda: session.preview_click([50, 4], slice=3),
        lambda: session.preview_click([9, 4]),
        lambda: session.preview_click([9, 4], slice=8),
        lambda: session.preview_box([9, 4, 8, 9], slice=3),
        lambda: session.preview_box([9, 4, 8], slice=3),
        lambda: session.preview_box(BOX, slice=3, axis=3),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument):
            call()


READING = """
import sys, threading
import numpy as np
from medsam_engine import Engine, Session

session = Session(Engine(sys.argv[1], threads=1), np.zeros((8, 24, 40), np.uint8), encode_ahead=False)
session.add_box("a", [8, 4, 23, 15], slice=3)
started = threading.Event()

def read():
    started.set()
    session.labels(), session.objects, session.mask("a"), session.undo_steps

reader = threading.Thread(target=read)

def progress(done, total):  # while propagate has the session
    if done == 1:
        reader.start()
        started.wait()

session.propagate("a", progress=progress)
reader.join()
print("read")
"""


def test_reading_does_not_keep_a_running_call_from_its_callback() -> None:
    bundle = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
    # In a process of its own: the fault would stop every thread of it.
    done = subprocess.run(
        [sys.executable, "-c", READING, bundle], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "read\n", done.stderr
