# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The routes of open studies: their voxels, what is drawn on them, and their masks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

import medsam_engine
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.desk import Desk
from medsam_engine.serve.api.export import exported
from medsam_engine.serve.api.open_study import OpenStudy, Reply, voxel_type
from medsam_engine.serve.events import event_stream
from medsam_engine.windows import CT_PRESETS


class Studies:
    """Handlers; each change runs on the worker, one after another for a study."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._worker = desk.workplace.worker

    def routes(self) -> list[BaseRoute]:
        """The routes of this class."""
        one = "/api/studies/{study}"
        return [
            Route("/api/state", self.state),
            _route(one, GET=self.describe, DELETE=self.close),
            Route(f"{one}/volume", self.volume),
            Route(f"{one}/masks", self.masks),
            Route(f"{one}/events", self.events),
            Route(f"{one}/export", self.export),
            Route(f"{one}/prompts", self.prompt, methods=["POST"]),
            Route(f"{one}/preview", self.preview, methods=["POST"]),
            Route(f"{one}/propagate", self.propagate, methods=["POST"]),
            Route(f"{one}/propagation", self.propagation),
            Route(f"{one}/cancel", self.cancel, methods=["POST"]),
            Route(f"{one}/undo", self.undo, methods=["POST"]),
            Route(f"{one}/redo", self.redo, methods=["POST"]),
            Route(f"{one}/reset", self.reset, methods=["POST"]),
            _route(f"{one}/objects/{{key}}", PATCH=self.change_object, DELETE=self.remove_object),
        ]

    def _study(self, request: Request) -> OpenStudy:
        return self._desk.study(request.path_params["study"])

    async def state(self, _request: Request) -> Response:
        """What is open, and what the engine is."""
        place = self._desk.workplace
        info = place.engine.info
        return JSONResponse(
            {
                "version": medsam_engine.__version__,
                "engine": {"family": info.family, "profile": info.profile, "precision": info.precision},
                "windows": {name: {"width": width, "level": level} for name, (width, level) in CT_PRESETS.items()},
                "studies": [
                    {"id": study.id, "name": study.name, "shape": list(study.image.grid)}
                    for study in list(place.studies.values())
                ],
                "limits": {"upload_bytes": min(place.limits.body_bytes, self._desk.room())},
            }
        )

    async def describe(self, request: Request) -> Response:
        """One study, with its session made."""
        opened = self._study(request)
        return JSONResponse(await self._worker.run(opened.study.id, opened.described))

    async def close(self, request: Request) -> Response:
        """Saves and closes."""
        await self._desk.close(request.path_params["study"])
        return Response(status_code=204)

    async def volume(self, request: Request) -> Response:
        """All values, C order, little endian: of the type and shape that describe() tells."""
        image = self._study(request).study.image
        size = image.array.size * np.dtype(voxel_type(image.array, image.color)).itemsize
        headers = {"content-length": str(size), "content-type": "application/octet-stream"}
        return StreamingResponse(_parts(image.array, image.color), headers=headers)

    async def masks(self, request: Request) -> Response:
        """All masks."""
        opened = self._study(request)
        return JSONResponse(await self._worker.run(opened.study.id, opened.masks))

    async def events(self, request: Request) -> Response:
        """Server-sent events."""
        return event_stream(self._study(request), self._desk.workplace.ending)

    async def export(self, request: Request) -> Response:
        """The objects as a file; a header says how many voxels several objects claim."""
        opened = self._study(request)
        made = await self._worker.run(opened.study.id, exported, opened, request.query_params.get("format", "nifti"))
        return Response(
            made.content,
            media_type="application/octet-stream",
            headers={
                "content-disposition": f'attachment; filename="{made.name}"',
                "medsam-overlapping-voxels": str(made.overlap),
            },
        )

    async def prompt(self, request: Request) -> Response:
        """Draws."""
        opened = self._study(request)
        prompt = await bodies.body_of(request, bodies.PROMPT, bodies.LARGE)
        return await self._step(opened, opened.prompt, prompt)

    async def preview(self, request: Request) -> Response:
        """What a click would find; null where there is no answer at once. Beside the worker: it waits for nothing."""
        opened = self._study(request)
        asked = await bodies.body_of(request, bodies.Preview)
        return JSONResponse(await run_in_threadpool(opened.preview, asked))

    async def propagate(self, request: Request) -> Response:
        """Carries an object through the volume."""
        opened = self._study(request)
        asked = await bodies.body_of(request, bodies.Propagate)
        return await self._step(opened, opened.propagate, asked)

    async def propagation(self, request: Request) -> Response:
        """How far the propagation is that is running; null while none is. Beside the worker."""
        return JSONResponse(self._study(request).growth.standing)

    async def cancel(self, request: Request) -> Response:
        """Ends the propagation that is running; the planes that it has reached are kept."""
        self._study(request).cancel()
        return Response(status_code=204)

    async def undo(self, request: Request) -> Response:
        """Takes the last step back."""
        opened = self._study(request)
        return await self._step(opened, opened.step, lambda session: session.undo())

    async def redo(self, request: Request) -> Response:
        """Does it again."""
        opened = self._study(request)
        return await self._step(opened, opened.step, lambda session: session.redo())

    async def reset(self, request: Request) -> Response:
        """Removes all objects."""
        opened = self._study(request)
        return await self._step(opened, opened.step, lambda session: session.reset())

    async def change_object(self, request: Request) -> Response:
        """Name, color, lock."""
        opened = self._study(request)
        change = await bodies.body_of(request, bodies.ObjectChange)
        return await self._step(opened, opened.change_object, request.path_params["key"], change)

    async def remove_object(self, request: Request) -> Response:
        """Removes one object."""
        opened, key = self._study(request), request.path_params["key"]

        def remove() -> Reply:
            opened.check_object(key)
            return opened.step(lambda session: session.remove(key), key)

        return await self._step(opened, remove)

    async def _step(self, opened: OpenStudy, change: Callable[..., Reply], *arguments: Any) -> Response:
        reply = await self._worker.run(opened.study.id, change, *arguments)
        self._desk.save_soon(opened)
        return JSONResponse(reply)


def _route(path: str, **handlers: Callable[[Request], Awaitable[Response]]) -> Route:
    """One route of several methods: of several routes, a refusal of another method would name the first one's alone."""

    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return Route(path, answer, methods=list(handlers))


def _parts(array: NDArray[np.generic], color: bool) -> Iterator[bytes]:
    """The values in pieces of a slice, or of a row of a picture; color of 16 bits at 8."""
    for values in array:
        if color and values.dtype != np.uint8:
            yield _eight_bits(values).tobytes()
        else:
            yield np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    top = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0
    scaled: NDArray[np.uint8] = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return scaled
