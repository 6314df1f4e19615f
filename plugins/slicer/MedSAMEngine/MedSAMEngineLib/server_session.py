# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A session on a server: what volume_session.py needs of medsam_engine.Session, asked over HTTP below /api/.

The window is applied here, so that the server gets what a session in this process would get. Prompts and masks are
voxels of the array; where it lies is sent for the letters on the server's page and the files that are saved there.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import InvalidArgument
from medsam_engine.session import VoxelBox
from medsam_engine.windows import apply_window
from MedSAMEngineLib.server_requests import Requests, Server

_LOOK_SECONDS = 0.1


class ServerObject(NamedTuple):
    """As medsam_engine.SessionObject, as far as it is used here."""

    name: str
    prompts: int


class ServerSession:
    """A study that is open on a server, and its masks. One thread at a time.

    The methods are those of Session, with its arguments and results. What fails raises InvalidArgument with the
    server's own line.

    Args:
        server: whom to ask.
        image: (D, H, W), or (H, W, 3).
        spacing: mm between pixels along x, y or x, y, z.
        window: as in Session, but for "none" of other types than uint8.
        modality: of the window.
        matrix: (4, 4) from indices i, j, k to RAS, whose columns have the lengths of `spacing`; None = unknown.
        name: of the study, for people.

    Raises:
        InvalidArgument: as Requests.ask; or the server would window what is windowed already.
    """

    def __init__(
        self,
        server: Server,
        image: NDArray[np.generic],
        spacing: Sequence[float],
        window: str | None = None,
        modality: str | None = None,
        matrix: NDArray[np.float64] | None = None,
        name: str = "3D Slicer",
    ) -> None:
        self._requests = Requests(server)
        color = image.ndim == 3 and image.shape[-1] == 3
        pixels = apply_window(image, window, modality or "", color)
        if pixels.dtype != np.uint8:
            raise InvalidArgument('window: got "none" for values other than uint8, expected a window; choose one')
        self._flat = color
        self._shape = (1, *image.shape[:2]) if color else image.shape
        self._revision = -1
        self._undo_steps = 0
        self._masks: dict[str, NDArray[np.bool_]] = {}
        self._prompts: dict[str, int] = {}
        self._study = ""
        self._study = self._uploaded(name, _nrrd(pixels, spacing, matrix))
        self._check()
        self._reload()

    def add_box(self, name: str, box: ArrayLike, slice: int | None = None, axis: int = 0) -> VoxelBox | None:
        """As Session.add_box."""
        return self._prompt("box", name, slice, axis, box=_numbers(box))

    def add_click(
        self, name: str, point: ArrayLike, positive: bool = True, slice: int | None = None, axis: int = 0
    ) -> VoxelBox | None:
        """As Session.add_click."""
        return self._prompt("click", name, slice, axis, point=_numbers(point), positive=bool(positive))

    def add_scribble(
        self, name: str, line: ArrayLike, positive: bool = True, slice: int | None = None, axis: int = 0
    ) -> VoxelBox | None:
        """As Session.add_scribble."""
        return self._prompt("scribble", name, slice, axis, line=_numbers(line), positive=bool(positive))

    def add_lasso(self, name: str, outline: ArrayLike, slice: int | None = None, axis: int = 0) -> VoxelBox | None:
        """As Session.add_lasso."""
        return self._prompt("lasso", name, slice, axis, outline=_numbers(outline))

    def add_line(self, name: str, line: ArrayLike, slice: int | None = None, axis: int = 0) -> VoxelBox | None:
        """As Session.add_line."""
        return self._prompt("line", name, slice, axis, line=_numbers(np.reshape(line, (2, 2))))

    def add_mask(self, name: str, mask: NDArray[np.generic]) -> VoxelBox | None:
        """As Session.add_mask."""
        values = np.asarray(mask).reshape(self._shape) != 0
        depth, height, width = self._shape
        box = [0, 0, 0, width - 1, height - 1, depth - 1]
        body = {"kind": "paint", "object": name, "box": box, "runs": _runs(values), "replace": True}
        return self._step("POST", "/prompts", body)

    def propagate(
        self,
        name: str,
        *,
        axis: int = 0,
        first: int | None = None,
        last: int | None = None,
        distance: float | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> VoxelBox | None:
        """As Session.propagate, but for `cancelled`: the planes that were reached by then are kept, as a step.

        The server answers within 45 s. A call that took longer is taken back and made again, on planes that are encoded
        by then, for as long as it gets farther.
        """
        body: dict[str, Any] = {"object": name, "axis": axis}
        body |= {
            key: value for key, value in (("first", first), ("last", last), ("distance", distance)) if value is not None
        }
        box, before = None, 0
        while True:
            reply = self._watched(body, progress, cancelled)
            box = _union(box, self._take(reply))
            reached = reply["reached"]
            if reached["cancelled"] or not before < reached["done"] < reached["total"]:
                return box
            before = reached["done"]
            box = _union(box, self.undo())

    def undo(self) -> VoxelBox | None:
        """As Session.undo."""
        return self._step("POST", "/undo")

    def redo(self) -> VoxelBox | None:
        """As Session.redo."""
        return self._step("POST", "/redo")

    def remove(self, name: str) -> VoxelBox | None:
        """As Session.remove."""
        return self._step("DELETE", f"/objects/{urllib.parse.quote(name, safe='')}")

    @property
    def undo_steps(self) -> int:
        """As Session.undo_steps, as of the last answer."""
        return self._undo_steps

    @property
    def objects(self) -> list[ServerObject]:
        """The objects, in the order in which they were made."""
        return [ServerObject(name, prompts) for name, prompts in self._prompts.items()]

    def mask(self, name: str, box: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """As Session.mask."""
        mask = self._masks.get(name)
        if mask is None:
            mask = np.zeros(self._shape, np.bool_)
        if box is not None:
            x0, y0, z0, x1, y1, z1 = box
            mask = mask[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
        return (mask[0] if self._flat else mask).copy()

    def close(self) -> None:
        """Has the server save the work and close the study; a server that is gone has saved it before."""
        try:
            self._ask("DELETE", "")
        except InvalidArgument:
            return

    def _uploaded(self, name: str, content: bytes) -> str:
        upload = self._ask("POST", "/api/uploads", {"name": name, "files": 1})["upload"]
        self._ask("PUT", f"/api/uploads/{upload}/files/0?name=volume.nrrd", content)
        return str(self._ask("POST", f"/api/uploads/{upload}/open", b"")["study"])

    def _check(self) -> None:
        described = self._ask("GET", "")
        shape = [self._shape[1], self._shape[2]] if self._flat else list(self._shape)
        if described["shape"] != shape:
            raise InvalidArgument(f"server: got an image of {described['shape']}, expected {shape} as it was sent")
        if not self._flat and described["window"] != {"low": 0, "high": 255}:
            raise InvalidArgument(
                "server: got one with a window of its own, expected none; start it without --window and --modality"
            )

    def _prompt(self, kind: str, name: str, index: int | None, axis: int, **body: Any) -> VoxelBox | None:
        return self._step("POST", "/prompts", {"kind": kind, "object": name, "slice": index, "axis": axis, **body})

    def _watched(
        self,
        body: dict[str, Any],
        progress: Callable[[int, int], object] | None,
        cancelled: Callable[[], bool] | None,
    ) -> dict[str, Any]:
        """Asks for a propagation, and looks meanwhile how far it is. What a callback raises ends it, too."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self._ask, "POST", "/propagate", body)
            try:
                while not answer.done():
                    standing = self._ask("GET", "/propagation")
                    if standing is not None and progress is not None:
                        progress(standing["done"], standing["total"])
                    if cancelled is not None and cancelled():
                        self._ask("POST", "/cancel", b"")
                    time.sleep(_LOOK_SECONDS)
            except BaseException:
                self._ask("POST", "/cancel", b"")
                raise
            reply: dict[str, Any] = answer.result()
        return reply

    def _step(self, method: str, path: str, body: Any = b"") -> VoxelBox | None:
        return self._take(self._ask(method, path, body))

    def _take(self, reply: dict[str, Any]) -> VoxelBox | None:
        """Keeps what a step has changed. After a gap somebody else has drawn, too, on the page say."""
        if reply["revision"] != self._revision + 1:
            return self._reload()
        self._keep(reply)
        return None if reply["changed"] is None else _box(reply["changed"])

    def _reload(self) -> VoxelBox | None:
        """Keeps all masks as the server has them; the box of all voxels that have or had one."""
        before = self._masks
        self._masks = {}
        self._keep(self._ask("GET", "/masks"))
        box = None
        for mask in (*before.values(), *self._masks.values()):
            box = _union(box, _bounds(mask))
        return box

    def _keep(self, reply: dict[str, Any]) -> None:
        self._revision, self._undo_steps = reply["revision"], reply["undo"]
        self._prompts = {item["key"]: item["prompts"] for item in reply["objects"]}
        self._masks = {name: mask for name, mask in self._masks.items() if name in self._prompts}
        for told in reply["masks"]:
            mask = self._masks.setdefault(told["object"], np.zeros(self._shape, np.bool_))
            x0, y0, z0, x1, y1, z1 = told["box"]
            part = mask[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
            inside = np.arange(len(told["runs"])) % 2 == 1  # the first run is of outside
            part[...] = np.repeat(inside, told["runs"]).reshape(part.shape)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a reply. Paths are of the study, but for those that begin with /api/."""
        return self._requests.ask(
            method, path if path.startswith("/api/") else f"/api/studies/{self._study}{path}", body
        )


def _nrrd(pixels: NDArray[np.generic], spacing: Sequence[float], matrix: NDArray[np.float64] | None) -> bytes:
    """uint8 values as a file: (H, W, 3) with its spacing, (D, H, W) with its matrix if there is one."""
    color = pixels.ndim == 3 and pixels.shape[-1] == 3
    lines = ["NRRD0004", "type: uint8", "dimension: 3", f"sizes: {_text(pixels.shape[::-1], ' ')}", "encoding: raw"]
    if color:
        lines += [f"spacings: nan {_text(map(float, spacing), ' ')}", "kinds: RGB-color domain domain"]
    elif matrix is None:
        lines.append(f"spacings: {_text(map(float, spacing), ' ')}")
    else:
        x, y, z, origin = (f"({_text(column, ',')})" for column in matrix[:3].T.tolist())
        lines += ["space: right-anterior-superior", f"space directions: {x} {y} {z}", f"space origin: {origin}"]
    return "\n".join([*lines, "", ""]).encode() + np.ascontiguousarray(pixels).tobytes()


def _text(numbers: Iterable[float], separator: str) -> str:
    return separator.join(map(repr, numbers))


def _numbers(values: ArrayLike) -> Any:
    return np.asarray(values, np.float64).tolist()


def _runs(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of the runs of a mask in C order, of outside first."""
    values = np.concatenate(([False], mask.reshape(-1)))
    edges = np.flatnonzero(values[1:] != values[:-1])
    runs: list[int] = np.diff(edges, prepend=0, append=mask.size).tolist()
    return runs


def _bounds(mask: NDArray[np.bool_]) -> VoxelBox | None:
    if not mask.any():
        return None
    spans = [np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis))) for axis in (2, 1, 0)]
    return _box([*(span[0] for span in spans), *(span[-1] for span in spans)])


def _box(numbers: Sequence[Any]) -> VoxelBox:
    x0, y0, z0, x1, y1, z1 = map(int, numbers)
    return x0, y0, z0, x1, y1, z1


def _union(one: VoxelBox | None, other: VoxelBox | None) -> VoxelBox | None:
    if one is None or other is None:
        return one or other
    return _box([*map(min, one[:3], other[:3]), *map(max, one[3:], other[3:])])
