# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The endpoints of nnInteractive's remote protocol 2.6."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from medsam_engine.errors import InvalidArgument
from medsam_engine.serve import nnia
from medsam_engine.serve.leases import Lease
from medsam_engine.serve.log import log_event
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.capabilities import capabilities, supported
from medsam_engine.serve.nninteractive.client_state import ClientState
from medsam_engine.serve.nninteractive.drawing import Change
from medsam_engine.serve.nninteractive.messages import Fields, json_body, meta, raw_body
from medsam_engine.serve.workplace import Workplace

P = ParamSpec("P")
R = TypeVar("R")
_TOKEN = "x-lease-token"
_BYTES_PER_MASK_VOXEL = 8  # the widest type that a mask may have
_PACKED_OVERHEAD = 64 << 10


def protocol_routes(workplace: Workplace) -> list[BaseRoute]:
    """The routes, at the root."""
    return Protocol(workplace).routes()


class Protocol:
    """The handlers of one workplace."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._leases = workplace.leases
        self._supported = supported(workplace.engine.info)
        self._unpacking = asyncio.Lock()  # one image at a time is in memory twice

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        kinds: tuple[tuple[str, Callable[[Request], Awaitable[Response]]], ...] = (
            ("/claim", self.claim),
            ("/release", self.release),
            ("/heartbeat", self.heartbeat),
            ("/set_image", self.set_image),
            ("/set_target_buffer", self.set_target_buffer),
            ("/set_do_autozoom", self.set_do_autozoom),
            ("/reset_interactions", self.reset_interactions),
            ("/undo", self.undo),
            ("/predict", self.predict),
            ("/add_bbox_interaction", self.add_bbox),
            ("/add_point_interaction", self.add_point),
            ("/add_scribble_interaction", partial(self.add_mask, "scribble")),
            ("/add_lasso_interaction", partial(self.add_mask, "lasso")),
            ("/add_initial_seg_interaction", self.add_initial_seg),
        )
        return [
            Route("/capabilities", self.capabilities, methods=["GET"]),
            Route("/lease_status", self.lease_status, methods=["GET"]),
            Route("/upload_image", _upload_image, methods=["POST"]),
            *(Route(path, handler, methods=["POST"]) for path, handler in kinds),
        ]

    # --- leases: answered on the event loop, whatever the worker does -------------------------------------------------

    async def claim(self, _request: Request) -> Response:
        """A new lease."""
        lease = self._leases.claim()
        log_event("claimed", lease=lease.number, leases=len(self._leases))
        return JSONResponse(
            {
                "lease_token": lease.token,
                "idle_timeout_seconds": self._leases.idle,
                "liveness_timeout_seconds": self._leases.liveness,
                "max_sessions": self._leases.most,
            }
        )

    async def release(self, request: Request) -> Response:
        """The end of a lease."""
        self._leases.release(request.headers.get(_TOKEN, ""))
        return JSONResponse({"released": True})

    async def heartbeat(self, request: Request) -> Response:
        """The client lives."""
        return JSONResponse({"remaining_seconds": self._leases.heartbeat(request.headers.get(_TOKEN, ""))})

    async def lease_status(self, request: Request) -> Response:
        """How long the lease holds."""
        lease = self._leases.find(request.headers.get(_TOKEN, ""))
        return JSONResponse(
            {"remaining_seconds": self._leases.remaining(lease), "idle_timeout_seconds": self._leases.idle}
        )

    async def capabilities(self, request: Request) -> Response:
        """What the model can do."""
        lease = self._leases.find(request.headers.get(_TOKEN, ""))
        return JSONResponse(capabilities(self._workplace.engine.info, lease.content.propagates))

    # --- the image ----------------------------------------------------------------------------------------------------

    async def set_image(self, request: Request) -> Response:
        """The image; encoding begins at once, on the session's own thread."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            spacing = meta(request).spacing()
            body = await raw_body(request, self._workplace.limits.body_bytes)
            async with self._unpacking:
                others = self._workplace.lease_image_bytes() - lease.content.image_bytes
                most = max(0, self._workplace.limits.image_bytes - others)
                image = await asyncio.to_thread(nnia.unpack, body, most)
                del body
                shape = await self._run(lease, lease.content.set_image, image, spacing)
            return JSONResponse({"original_image_shape": list(shape)})

    async def set_target_buffer(self, request: Request) -> Response:
        """The shape and type of the client's mask."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            body = await json_body(request)
            await self._run(lease, lease.content.set_target_buffer, body.shape(), body.dtype())
            return JSONResponse({})

    async def set_do_autozoom(self, request: Request) -> Response:
        """Whether prompts in a plane are carried to other planes."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            lease.content.propagates = (await json_body(request)).flag("do_autozoom")
            return JSONResponse({})

    async def reset_interactions(self, request: Request) -> Response:
        """Nothing is drawn."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            await json_body(request)
            await self._run(lease, lease.content.reset)
            return JSONResponse({})

    # --- prompts ------------------------------------------------------------------------------------------------------

    async def undo(self, request: Request) -> Response:
        """Takes back the last prompt."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            await json_body(request)
            return await self._answer("undo", lease, lease.content.undo)

    async def predict(self, request: Request) -> Response:
        """Answers the prompts that were kept."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            await json_body(request)
            return await self._answer("predict", lease, lease.content.predict)

    async def add_bbox(self, request: Request) -> Response:
        """A box."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            body = await json_body(request)
            self._check("bbox2d", body)
            prompt = partial(
                interactions.add_box, pairs=body.pairs("bbox_coords"), positive=body.flag("include_interaction")
            )
            return await self._answer("box", lease, lease.content.prompt, prompt, body.flag("run_prediction", True))

    async def add_point(self, request: Request) -> Response:
        """A click."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            body = await json_body(request)
            self._check("points", body)
            prompt = partial(
                interactions.add_point, point=body.point("coordinates"), positive=body.flag("include_interaction")
            )
            return await self._answer("point", lease, lease.content.prompt, prompt, body.flag("run_prediction", True))

    async def add_mask(self, kind: str, request: Request) -> Response:
        """A scribble or a lasso."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            fields = meta(request)
            self._check(kind, fields)
            positive, run = fields.flag("include_interaction"), fields.flag("run_prediction", True)
            pairs = fields.optional_pairs("interaction_bbox")
            mask = await self._mask(request, lease)
            function = interactions.add_lasso if kind == "lasso" else interactions.add_scribble
            prompt = partial(function, positive=positive)
            return await self._answer(kind, lease, lease.content.mask_prompt, prompt, mask, pairs, run)

    async def add_initial_seg(self, request: Request) -> Response:
        """A mask from which to go on."""
        with self._leases.using(request.headers.get(_TOKEN, "")) as lease:
            run = meta(request).flag("run_prediction", False)
            mask = await self._mask(request, lease)
            return await self._answer("initial_seg", lease, lease.content.begin_with, mask, run)

    # ------------------------------------------------------------------------------------------------------------------

    async def _mask(self, request: Request, lease: Lease[ClientState]) -> NDArray[np.generic]:
        shape = lease.content.drawing.shape
        most = shape[0] * shape[1] * shape[2] * _BYTES_PER_MASK_VOXEL
        body = await raw_body(request, most + _PACKED_OVERHEAD)
        mask = await asyncio.to_thread(nnia.unpack, body, most)
        if mask.ndim != 3 or mask.dtype.kind not in "biu":
            raise InvalidArgument(
                f"interaction: got {mask.dtype} with {mask.ndim} axes, expected whole numbers with 3 axes"
            )
        return mask

    def _check(self, kind: str, fields: Fields) -> None:
        """InvalidArgument: the model does not answer this kind, and the client does not insist."""
        if not self._supported[kind] and not fields.flag("override_capability_checks", False):
            raise InvalidArgument(f"interaction: got {kind}, which this model does not answer; see /capabilities")

    async def _answer(
        self, kind: str, lease: Lease[ClientState], function: Callable[P, Change], *args: P.args, **kwargs: P.kwargs
    ) -> Response:
        """Does the work, and answers with the new contents of what changed."""

        def work() -> tuple[Change, bytes, str]:
            started = time.perf_counter()
            change = function(*args, **kwargs)
            values = None if change.region is None else lease.content.contents(change.region)
            body = b"" if values is None else nnia.pack(values)
            log_event(
                "interaction",
                kind=kind,
                lease=lease.number,
                ran=change.ran,
                voxels=0 if values is None else values.size,
                ms=round((time.perf_counter() - started) * 1000, 2),
            )
            return change, body, "uint8" if values is None else values.dtype.name

        change, body, dtype = await self._run(lease, work)
        region = change.region
        told = {
            "ran_prediction": change.ran,
            "bbox": None if region is None else region.pairs(),
            "dtype": dtype,
            "shape": [] if region is None else list(region.sizes),
        }
        headers = {"x-meta": json.dumps(told, separators=(",", ":"))}
        return Response(body, headers=headers, media_type="application/octet-stream")

    async def _run(self, lease: Lease[ClientState], function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._workplace.worker.run(f"lease {lease.number}", function, *args, **kwargs)


async def _upload_image(_request: Request) -> Response:
    """Of the Slicer plugin's own server, which its versions before 1.0.0 expect."""
    detail = (
        "upload_image: got a request of SlicerNNInteractive before 1.0.0, expected nnInteractive's remote protocol; "
        "update the plugin to 1.0.0 or newer"
    )
    return JSONResponse({"detail": detail}, 410)
