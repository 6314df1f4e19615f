# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session on a server gives the segments that one in this process gives, step by step."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_markups import markup, roi
from numpy.typing import NDArray
from volume_matrices import CASES, world

pytest.importorskip("starlette", reason="the server needs the extra [serve]")
pytest.importorskip("uvicorn")
pytest.importorskip("blosc2")
pytest.importorskip("prometheus_client")

sys.path.insert(0, str(Path(__file__).resolve().parents[5] / "tests" / "python" / "support"))
from served import KEY, Served, served

from medsam_engine import Engine, InvalidArgument
from medsam_engine.serve.access import Access
from medsam_engine.serve.workplace import Workplace
from MedSAMEngineLib import segment_labelmaps
from MedSAMEngineLib.server_requests import Server
from MedSAMEngineLib.volume_session import VolumeSession

Add = Callable[..., Any]


@pytest.fixture
def running(engine: Engine, tmp_path: Path) -> Iterator[Served]:
    with served(Workplace(engine, Access("127.0.0.1", KEY), folder=tmp_path / "saved")) as made:
        yield made


def segmentations(scene: Any) -> list[Any]:
    return [scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("here", "there")]


def described(server: Served) -> Any:
    """The only study that is open on a server."""
    (study,) = json.loads(server.ask("GET", "/api/state").body)["studies"]
    return json.loads(server.ask("GET", f"/api/studies/{study['id']}").body)


class Both:
    """The same steps in this process and on a server; each is compared."""

    def __init__(self, scene: Any, engine: Engine, server: Served, volume: Any, **options: Any) -> None:
        self.nodes = segmentations(scene)
        self.volume = volume
        here, there = self.nodes
        self.sessions = [
            VolumeSession(engine, volume, here, **options),
            VolumeSession(Server(server.url + "/", KEY), volume, there, **options),
        ]
        self.segment = "lesion"
        for node in self.nodes:
            node.GetSegmentation().AddEmptySegment(self.segment, self.segment)

    def masks(self) -> list[NDArray[np.bool_]]:
        return [segment_labelmaps.read(node, self.segment, self.volume) for node in self.nodes]

    def step(self, call: Callable[[VolumeSession, str], object]) -> NDArray[np.bool_]:
        for session in self.sessions:
            call(session, self.segment)
        here, there = self.masks()
        np.testing.assert_array_equal(there, here)
        ours, theirs = ([(each.name, each.prompts) for each in session.session.objects] for session in self.sessions)
        assert theirs == ours
        assert self.sessions[0].session.undo_steps == self.sessions[1].session.undo_steps
        return here


@pytest.mark.parametrize("case", ["lps", "flipped", "sagittal", "oblique and transformed"])
def test_every_step(
    scene: Any, add: Add, values: NDArray[np.int16], engine: Engine, running: Served, case: str
) -> None:
    both = Both(scene, engine, running, add(values, *CASES[case]), window="percentile")
    flat = roi(scene, case, (6, 4, 2), (20, 12, 2))
    assert both.step(lambda session, each: session.add_markup(each, flat)).any()
    click = markup(scene, "Fiducial", world(case, [[14, 8, 2]]))
    both.step(lambda session, each: session.add_markup(each, click, positive=False))
    carried = both.step(lambda session, each: session.propagate(each, axis=0, first=1, last=3))
    assert carried.any(axis=(1, 2)).tolist() == [False, True, True, True, False]
    both.step(lambda session, _: session.undo())
    np.testing.assert_array_equal(both.step(lambda session, _: session.redo()), carried)
    corners = np.array([[7.0, 5, 1], [18, 5, 1], [18, 14, 1], [7, 14, 1]])
    for kind, count in (("Line", 2), ("Curve", 3), ("ClosedCurve", 4)):
        drawn = markup(scene, kind, world(case, corners[:count]))
        both.step(lambda session, each, drawn=drawn: session.add_markup(each, drawn))  # type: ignore[misc]
    whole = roi(scene, case, (6, 4, 1), (20, 12, 3))
    both.step(lambda session, each: session.add_markup(each, whole))
    for node in both.nodes:  # as an effect of the editor does
        segment_labelmaps.write(node, both.segment, both.volume, np.ones((1, 2, 3), np.bool_), (20, 20, 4, 22, 21, 4))
    again = roi(scene, case, (8, 5, 2), (19, 13, 2))
    edited = both.step(lambda session, each: session.add_markup(each, again))
    assert edited[4, 20:22, 20:23].all()
    study = described(running)
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ study["affine"], CASES[case][0], atol=1e-9)  # LPS to RAS
    assert study["name"].endswith("without its transform") == (CASES[case][1] is not None)
    both.step(lambda session, _: session.undo())
    assert not both.step(lambda session, each: session.reset(each)).any()


def test_an_rgb_image(scene: Any, add: Add, engine: Engine, running: Served) -> None:
    colors = np.random.default_rng(1).integers(0, 255, (1, 24, 32, 3)).astype(np.uint8)
    both = Both(scene, engine, running, add(colors, *CASES["lps"], components=3))
    box = roi(scene, "lps", (6, 4, 0), (20, 12, 0))
    assert both.step(lambda session, each: session.add_markup(each, box)).any()


def test_work_comes_back(scene: Any, add: Add, values: NDArray[np.int16], running: Served) -> None:
    """After the session was closed, or Slicer was killed: a segment that has nothing gets it, another one stays."""
    volume = add(values, *CASES["ras"])
    first, second = segmentations(scene)
    server = Server(running.url, KEY)
    session = VolumeSession(server, volume, first)
    one, two = (first.GetSegmentation().AddEmptySegment(name, name) for name in ("one", "two"))
    session.add_markup(one, roi(scene, "ras", (6, 4, 2), (20, 12, 2)))
    session.add_markup(two, roi(scene, "ras", (9, 4, 1), (20, 12, 1)))
    kept = [segment_labelmaps.read(first, each, volume) for each in (one, two)]
    session.close()
    assert json.loads(running.ask("GET", "/api/state").body)["studies"] == []
    second.GetSegmentation().AddEmptySegment("two", "two")
    segment_labelmaps.prepare(second, volume)
    own = np.ones((1, 1, 2), np.bool_)
    segment_labelmaps.write(second, "two", volume, own, (0, 0, 0, 1, 0, 0))
    again = VolumeSession(server, volume, second)
    np.testing.assert_array_equal(segment_labelmaps.read(second, "one", volume), kept[0])
    assert segment_labelmaps.read(second, "two", volume).sum() == 2
    again.undo()  # of the edit that is taken over first
    assert [each.name for each in again.session.objects] == ["one", "two"]


def test_what_somebody_else_draws_is_seen(scene: Any, add: Add, values: NDArray[np.int16], running: Served) -> None:
    """A step on the page between two of Slicer's: the next one brings it, whole."""
    volume = add(values, *CASES["ras"])
    node = segmentations(scene)[0]
    session = VolumeSession(Server(running.url, KEY), volume, node)
    segment = node.GetSegmentation().AddEmptySegment("lesion", "lesion")
    session.add_markup(segment, roi(scene, "ras", (6, 4, 2), (20, 12, 2)))
    study = described(running)
    paint = {"kind": "paint", "object": "lesion", "box": [1, 1, 4, 4, 1, 4], "runs": [0, 4]}
    assert running.ask("POST", f"/api/studies/{study['id']}/prompts", json.dumps(paint).encode()).status == 200
    session.add_markup(segment, roi(scene, "ras", (8, 5, 3), (19, 13, 3)))
    found = segment_labelmaps.read(node, segment, volume)
    assert found[4, 1, 1:5].all()
    assert found[2].any()
    assert found[3].any()


def test_progress_and_cancel(scene: Any, add: Add, values: NDArray[np.int16], running: Served) -> None:
    """What was reached is kept, and a callback that raises ends the call."""
    volume = add(values, *CASES["ras"])
    node = segmentations(scene)[0]
    session = VolumeSession(Server(running.url, KEY), volume, node)
    segment = node.GetSegmentation().AddEmptySegment("lesion", "lesion")
    session.add_markup(segment, roi(scene, "ras", (6, 4, 2), (20, 12, 2)))
    session.propagate(segment, axis=0, cancelled=lambda: True)
    found = segment_labelmaps.read(node, segment, volume)
    np.testing.assert_array_equal(found, session.session.mask(segment))

    def fails() -> bool:
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        session.propagate(segment, axis=0, cancelled=fails)
    session.undo()  # sees the step that was made all the same
    np.testing.assert_array_equal(segment_labelmaps.read(node, segment, volume), session.session.mask(segment))


def test_what_is_refused(scene: Any, add: Add, values: NDArray[np.int16], running: Served, engine: Engine) -> None:
    """In one line that says what to do."""
    volume = add(values, *CASES["ras"])
    node = segmentations(scene)[0]
    for server, said in (
        (Server("127.0.0.1:1527", KEY), "expected an address such as http://127.0.0.1:1527"),
        (Server(running.url, "wrong"), "expected the one that it prints"),
        (Server("http://127.0.0.1:9", KEY), "start medsam-engine serve there"),
        (Server(running.url + "/elsewhere", KEY), "address"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            VolumeSession(server, volume, node)
    with pytest.raises(InvalidArgument, match="expected a window"):
        VolumeSession(Server(running.url, KEY), volume, node, window="none")
    with (
        served(Workplace(engine, Access("127.0.0.1", KEY), window="abdomen")) as other,
        pytest.raises(InvalidArgument, match="a window of its own"),
    ):
        VolumeSession(Server(other.url, KEY), volume, node)
    session = VolumeSession(Server(running.url, KEY), volume, node)
    segment = node.GetSegmentation().AddEmptySegment("lesion", "lesion")
    beside = markup(scene, "Fiducial", world("ras", [[14, 8, 2]]))
    with pytest.raises(InvalidArgument, match="negative one in"):
        session.add_markup(segment, beside, positive=False)
    assert not session.session.objects
