# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Uploads that are cut off, sent twice, too slow or too many leave nothing behind and spoil no other."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from medsam_engine.serve.api import uploads
from medsam_engine.serve.app import create_app
from medsam_engine.serve.workplace import Workplace

WHOLE = b"0123456789" * 4


class Body:
    """A body of two parts, the second of which waits until it is let go; then it comes, or the client has gone."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield WHOLE[:20]
        self.begun.set()
        await self.go.wait()
        if self._breaks:
            raise RuntimeError("gone")
        yield WHOLE[20:]


class Page:
    """What a page does, and the folder in which its files lie."""

    def __init__(self, client: httpx.AsyncClient, root: Path) -> None:
        self.client, self.root = client, root

    async def begin(self, files: int = 2) -> str:
        """The address of a new upload."""
        reply = await self.client.post("/api/uploads", json={"name": "x", "files": files})
        assert reply.status_code == 201, reply.text
        return f"/api/uploads/{reply.json()['upload']}"

    async def put(self, upload: str, number: int, body: Any, name: str = "a.dcm") -> int:
        """The status of a file that is sent as WHOLE."""
        headers = {"content-length": str(len(WHOLE))}
        url = f"{upload}/files/{number}?name={name}"
        return (await self.client.put(url, content=body, headers=headers)).status_code

    def files(self) -> list[str]:
        """The names of what lies there."""
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


Story = Callable[[Page], Any]


@pytest.fixture
def tell(
    make_workplace: Callable[..., Workplace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def told(story: Story, **limits: Any) -> None:
        place = make_workplace(**limits)
        transport = httpx.ASGITransport(create_app(place), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {place.access.key}"}

        async def run() -> None:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
                await story(Page(client, tmp_path))

        asyncio.run(asyncio.wait_for(run(), 60))
        place.worker.close()

    return told


def test_a_number_is_taken_once(tell: Callable[..., None]) -> None:
    """Neither while the first is on its way nor afterwards, nor under another ending."""

    async def story(page: Page) -> None:
        upload, body = await page.begin(), Body()
        first = asyncio.create_task(page.put(upload, 0, body))
        await body.begun.wait()
        assert await page.put(upload, 0, WHOLE) == 409
        body.go.set()
        assert await first == 204
        assert await page.put(upload, 0, WHOLE, "a.nii") == 409
        assert page.files() == ["00000.dcm"]

    tell(story)


def test_a_file_that_breaks_off_can_be_sent_again(tell: Callable[..., None]) -> None:
    async def story(page: Page) -> None:
        upload, body = await page.begin(1), Body(breaks=True)
        body.go.set()
        assert await page.put(upload, 0, body) == 500
        assert page.files() == []
        assert (await page.client.post(f"{upload}/open")).status_code == 400
        assert await page.put(upload, 0, WHOLE) == 204
        assert page.files() == ["00000.dcm"]

    tell(story)


def test_a_file_that_is_too_slow_leaves_nothing(tell: Callable[..., None]) -> None:
    async def story(page: Page) -> None:
        upload = await page.begin(1)
        assert await page.put(upload, 0, Body()) == 408
        assert page.files() == []

    tell(story, body_seconds=0.05)


def test_an_upload_that_is_dropped_while_a_file_comes(tell: Callable[..., None]) -> None:
    async def story(page: Page) -> None:
        upload, body = await page.begin(1), Body()
        filling = asyncio.create_task(page.put(upload, 0, body))
        await body.begun.wait()
        assert (await page.client.delete(upload)).status_code == 204
        body.go.set()
        assert await filling == 404
        assert page.files() == []

    tell(story)


def test_a_full_disk_is_told(tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story(page: Page) -> None:
        upload = await page.begin(1)
        with monkeypatch.context() as disk:
            disk.setattr(Path, "rename", full)
            assert await page.put(upload, 0, WHOLE) == 400
        assert page.files() == []
        assert await page.put(upload, 0, WHOLE) == 204

    tell(story)


def test_what_is_on_its_way_counts(tell: Callable[..., None]) -> None:
    """Two files that are only together too large: the second is refused before it is read."""

    async def story(page: Page) -> None:
        upload, body = await page.begin(), Body()
        first = asyncio.create_task(page.put(upload, 0, body))
        await body.begun.wait()
        assert await page.put(upload, 1, WHOLE) == 413
        body.go.set()
        assert await first == 204
        assert await page.put(upload, 1, WHOLE) == 413
        other = await page.begin()
        assert await page.put(other, 0, WHOLE) == 204

    tell(story, body_bytes=60)


def test_an_upload_that_is_being_filled_is_not_dropped(
    tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_IDLE_SECONDS", 0.0, raising=False)

    async def story(page: Page) -> None:
        first, body = await page.begin(1), Body()
        filling = asyncio.create_task(page.put(first, 0, body))
        await body.begun.wait()
        idle = await page.begin(1)
        for _ in range(3):
            await page.begin(1)
        body.go.set()
        assert await filling == 204
        assert await page.put(idle, 0, WHOLE) == 404
        monkeypatch.setattr(uploads, "_IDLE_SECONDS", 60.0)
        refused = await page.client.post("/api/uploads", json={"name": "x", "files": 1})
        assert refused.status_code == 429
        assert page.files() == ["00000.dcm"]

    tell(story)


def test_files_are_not_written_on_the_event_loop(tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is slow must not hold up the heartbeats of others."""
    threads: set[str] = set()
    whole = Path.open

    def noted(path: Path, mode: str = "r", **options: Any) -> Any:
        if "b" in mode and path.suffix in (".part", ".dcm"):
            threads.add(threading.current_thread().name)
        return whole(path, mode, **options)

    monkeypatch.setattr(Path, "open", noted)

    async def story(page: Page) -> None:
        assert await page.put(await page.begin(1), 0, WHOLE) == 204

    tell(story)
    assert threads
    assert threading.main_thread().name not in threads
