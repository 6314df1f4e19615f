# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Server-sent events of a study: how far encoding is, how far a propagation is, and that something was changed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

from medsam_engine.serve.api.open_study import OpenStudy

_LOOK_SECONDS = 0.1
_QUIET_LOOKS = 100  # after which a comment shows that the connection lives, and finds out whether it does


def event_stream(opened: OpenStudy, ending: threading.Event) -> StreamingResponse:
    """A stream that ends with the study, the server or the page.

    Events: `encoding` {"encoded", "total", "idle"}; `grown` {"revision", "mask"}, a plane that a propagation has
    reached, at once; `revision` {"revision"}; `propagation` {"object", "done", "total"} or null, after the revision
    that it has led to; `saved` {"saved"}; `closed`.
    """
    return StreamingResponse(_events(opened, ending), media_type="text/event-stream")


async def _events(opened: OpenStudy, ending: threading.Event) -> AsyncIterator[str]:
    told: dict[str, object] = {}
    quiet = planes = 0
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    with opened.growth.watched(lambda: loop.call_soon_threadsafe(woken.set)):
        while not (ending.is_set() or opened.closed.is_set()):
            woken.clear()
            planes, grown = opened.growth.after(planes)
            for plane in grown:
                yield _event("grown", plane)
            fresh = {name: value for name, value in _standing(opened).items() if told.get(name, "") != value}
            for name, value in fresh.items():
                yield _event(name, value)
            told |= fresh
            quiet = 0 if fresh else quiet + 1
            if quiet >= _QUIET_LOOKS:
                yield ": here\n\n"
                quiet = 0
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(woken.wait(), _LOOK_SECONDS)
    yield _event("closed", None)


def _standing(opened: OpenStudy) -> dict[str, object]:
    propagation = opened.growth.standing  # first: when it has ended, its revision is there
    standing: dict[str, object] = {"revision": {"revision": opened.revision}, "propagation": propagation}
    standing["saved"] = {"saved": opened.saved}
    session = opened.study.opened
    if session is not None:
        encoded, total, idle = session.encoding
        standing["encoding"] = {"encoded": encoded, "total": total, "idle": idle}
    return standing


def _event(name: str, value: object) -> str:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
