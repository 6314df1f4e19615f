# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Clients of benchmarks.soak.serve, and the same scenes replayed without a server in the client's own process."""

from __future__ import annotations

import contextlib
import hashlib
import random
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from benchmarks.soak.scenes import SHAPE, SPACING, Step, steps, volume
from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession
from numpy.typing import NDArray

from medsam_engine import Engine, Session, io
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.serve.api.masks import mask_of
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.client_state import ClientOptions, ClientState

KEY = "soak-soak-soak-soak"
SECONDS = 14.0  # in which the server begins further planes: four of them in turn are within the 60 s of clients
SCENES = 6  # of each client; one is played again and again
Digests = list[str]


class ProtocolClient:
    """nnInteractive's official client."""

    def __init__(self, port: int) -> None:
        self._client: Any = nnInteractiveRemoteInferenceSession(f"http://127.0.0.1:{port}", api_key=KEY)
        self._mask = np.zeros(SHAPE, np.uint8)

    def begin(self, values: NDArray[np.uint8]) -> None:
        """Opens an image."""
        self._client.set_image(values[np.newaxis], {"spacing": list(SPACING)})
        self._mask[:] = 0
        self._client.set_target_buffer(self._mask)

    def do(self, step: Step) -> NDArray[np.bool_]:
        """Draws; the mask as this client has put it together."""
        if step.kind == "undo":
            self._client.undo()
        elif step.kind == "box":
            self._client.set_do_autozoom(step.carry)
            self._client.add_bbox_interaction(pairs_of(step), True)
        else:
            self._client.set_do_autozoom(False)
            if step.kind == "click":
                ((x, y),) = step.points
                self._client.add_point_interaction([step.plane, y, x], step.positive)
            else:
                draw = getattr(self._client, f"add_{step.kind}_interaction")
                draw(pixels_of(step), True, interaction_bbox=pairs_of(step))
        return self._mask.astype(bool)

    def end(self) -> None:
        """Nothing: the lease goes on with the next image."""

    def close(self) -> None:
        """Gives the lease back."""
        self._client.close()


class ProtocolReplay:
    """The same on a Session, as the server asks it."""

    def __init__(self, engine: Engine) -> None:
        self._state = ClientState(engine, ClientOptions(seconds=1e9))

    def begin(self, values: NDArray[np.uint8]) -> None:
        """Opens an image."""
        self._state.set_image(values[np.newaxis], SPACING)

    def do(self, step: Step) -> NDArray[np.bool_]:
        """Draws; the object."""
        state = self._state
        state.propagates = step.carry
        if step.kind == "undo":
            state.undo()
        elif step.kind == "box":
            state.prompt(partial(interactions.add_box, pairs=pairs_of(step), positive=True), True)
        elif step.kind == "click":
            ((x, y),) = step.points
            state.prompt(partial(interactions.add_point, point=[step.plane, y, x], positive=step.positive), True)
        else:
            function = interactions.add_lasso if step.kind == "lasso" else interactions.add_scribble
            state.mask_prompt(partial(function, positive=True), pixels_of(step), pairs_of(step), True)
        return state.drawing.shown.astype(bool)


class PageClient:
    """Requests as the page sends them: one object, "a"."""

    def __init__(self, port: int) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api", headers=headers, timeout=120)
        self._study = ""
        self._first = 0  # steps that can be undone before anything is drawn: the reset

    def begin(self, values: NDArray[np.uint8]) -> None:
        """Uploads an image, and removes what was drawn on it the last time."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scan.nii.gz"
            io.write(path, values, MedicalImage(values, SPACING[::-1], (0.0, 0.0, 0.0), np.eye(3), "", path))
            content = path.read_bytes()
        upload = self._ask("POST", "/uploads", json={"name": "scan.nii.gz", "files": 1})["upload"]
        self._ask("PUT", f"/uploads/{upload}/files/0?name=scan.nii.gz", content=content)
        self._study = self._ask("POST", f"/uploads/{upload}/open")["study"]
        self._first = self._ask("POST", f"/studies/{self._study}/reset")["undo"]

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        reply = self._http.request(method, path, **body)
        if reply.status_code == 400 and path.endswith("/prompts"):
            return None  # as the replay says, too, or the masks differ
        reply.raise_for_status()
        return reply.json() if reply.content else None

    def do(self, step: Step) -> NDArray[np.bool_]:
        """Draws; the mask as the server then has it."""
        study = f"/studies/{self._study}"
        if step.kind == "undo":
            if self._ask("GET", study)["undo"] > self._first:
                self._ask("POST", f"{study}/undo")
        else:
            self._ask("POST", f"{study}/prompts", json=prompt_of(step))
            if step.carry:
                self._ask("POST", f"{study}/propagate", json={"object": "a"})
        mask = np.zeros(SHAPE, bool)
        for sent in self._ask("GET", f"{study}/masks")["masks"]:
            x0, y0, z0, x1, y1, z1 = sent["box"]
            size = (z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
            mask[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = mask_of(sent["runs"], size)
        return mask

    def end(self) -> None:
        """Closes the image."""
        self._ask("DELETE", f"/studies/{self._study}")

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


class PageReplay:
    """The same on a Session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Session

    def begin(self, values: NDArray[np.uint8]) -> None:
        """Opens an image."""
        self._session = Session(self._engine, values, SPACING[::-1], encode_ahead=False)

    def do(self, step: Step) -> NDArray[np.bool_]:
        """Draws; the object."""
        with contextlib.suppress(InvalidArgument):  # a negative click where nothing is
            self._draw(step)
        return self._session.mask("a") if self._session.objects else np.zeros(SHAPE, bool)

    def _draw(self, step: Step) -> None:
        session, plane = self._session, step.plane
        points = list(step.points)
        if step.kind == "undo":
            session.undo()
        elif step.kind == "box":
            session.add_box("a", tuple(np.ravel(points)), plane)
            if step.carry:
                session.propagate("a")
        elif step.kind == "click":
            session.add_click("a", points[0], step.positive, plane)
        elif step.kind == "scribble":
            session.add_scribble("a", points, True, plane)
        else:
            session.add_lasso("a", points, plane)


def pairs_of(step: Step) -> list[list[float]]:
    """The half-open box of a step, in the protocol's order."""
    (x0, y0), (x1, y1) = np.min(step.points, axis=0).tolist(), np.max(step.points, axis=0).tolist()
    return [[step.plane, step.plane + 1], [y0, y1 + 1], [x0, x1 + 1]]


def pixels_of(step: Step) -> NDArray[np.uint8]:
    """The drawn pixels in pairs_of: all of them, since lassos are squares and scribbles are rows."""
    _, (y0, y1), (x0, x1) = pairs_of(step)
    return np.ones((1, int(y1 - y0), int(x1 - x0)), np.uint8)


def prompt_of(step: Step) -> dict[str, Any]:
    """The page's request."""
    prompt: dict[str, Any] = {"kind": step.kind, "object": "a", "slice": step.plane}
    if step.kind == "box":
        return prompt | {"box": [n for point in step.points for n in point]}
    if step.kind == "click":
        return prompt | {"point": list(step.points[0]), "positive": step.positive}
    return prompt | {"line" if step.kind == "scribble" else "outline": [list(point) for point in step.points]}


def draw(kind: str, port: int, number: int, bundle: Path, begin: Any, stop: Any, results: Any) -> None:
    """Plays scenes from the barrier `begin` on until `stop` is set; in a process of its own. `results`: what it saw."""
    seen: dict[str, Any] = {"client": f"{kind} {number}", "steps": 0, "compared": 0, "slow": 0, "faults": []}
    engine = Engine(bundle, precision="f32", threads=1)
    replay: Any = PageReplay(engine) if kind == "page" else ProtocolReplay(engine)
    client: Any = PageClient(port) if kind == "page" else ProtocolClient(port)
    known: dict[int, Digests] = {}
    order = random.Random(number)
    begin.wait()
    try:
        while not stop.is_set():
            scene = 100 * number + order.randrange(SCENES)
            _play(scene, client, replay, known, stop, seen)
        client.close()
    except Exception:  # a soak counts failures, whatever they are
        seen["faults"].append(traceback.format_exc(limit=4))
    results.put(seen)


def _play(scene: int, client: Any, replay: Any, known: dict[int, Digests], stop: Any, seen: dict[str, Any]) -> None:
    values, todo = volume(scene), steps(scene)
    if scene not in known:
        replay.begin(values)
        known[scene] = [digest(replay.do(step)) for step in todo]
    client.begin(values)
    for number, (step, expected) in enumerate(zip(todo, known[scene], strict=True)):
        if stop.is_set():
            break
        began = time.monotonic()
        got = digest(client.do(step))
        seen["steps"] += 1
        if step.carry and time.monotonic() - began > 0.8 * SECONDS:
            seen["slow"] += 1  # it may have fewer planes than the object: the rest of the scene is another one
            break
        seen["compared"] += 1
        if got != expected:
            seen["faults"].append(f"scene {scene}, step {number}, {step.kind}: another mask than a Session's")
            break
    client.end()


def digest(mask: NDArray[np.bool_]) -> str:
    """Of a mask."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
