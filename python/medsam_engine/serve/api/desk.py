# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the page has open: studies by their id, and the folders of those that were uploaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from medsam_engine import io
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.study import Study
from medsam_engine.serve.workplace import Workplace


class Desk:
    """The page's view of a Workplace. Used on the event loop only.

    Attributes:
        workplace: whose studies these are.
    """

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self._open: dict[str, OpenStudy] = {}
        self._folders: dict[str, Path] = {}
        self._saving: set[str] = set()
        self._changing = asyncio.Lock()  # what is being closed is not found as open, nor the last slot given twice
        # Removed when the process ends in any way but by SIGKILL.
        self._root = tempfile.mkdtemp(prefix="medsam-engine-")
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)

    def study(self, name: str) -> OpenStudy:
        """The study of this id. HTTPException 404 if there is none."""
        study = self.workplace.studies.get(name)
        if study is None:
            raise HTTPException(404, "study: got an unknown one, expected one of /api/state; it may have been closed")
        if name not in self._open:
            self._open[name] = OpenStudy(study)
        return self._open[name]

    def new_folder(self) -> Path:
        """An empty private folder, for an upload."""
        return Path(tempfile.mkdtemp(dir=self._root))

    def room(self) -> int:
        """Bytes of voxels that further uploaded studies may have."""
        held = sum(study.image.array.nbytes for study in self.workplace.studies.values())
        return max(0, self.workplace.limits.image_bytes - held)

    async def open(self, path: Path, name: str, folder: Path | None) -> OpenStudy:
        """Reads an image and opens it, or finds it open; `folder` is removed when the study is closed or did not open.

        Raises as io.read, without the folder's name, and as Workplace.open_study.
        """
        place = self.workplace
        try:
            async with self._changing:
                place.check_slot()
                study = await place.worker.run("upload", self._read, path, name, self.room())
                known = place.open_study(study)
        except BaseException:
            await drop_folder(folder)
            raise
        if known is not study:
            await drop_folder(folder)
        elif folder is not None:
            self._folders[study.id] = folder
        opened = self.study(known.id)
        try:
            await place.worker.run(known.id, known.prepare)
        except BaseException:
            if known is study:
                await self.forget(known.id)
            raise
        return opened

    def _read(self, path: Path, name: str, most: int) -> Study:
        if most < 1:
            raise InvalidArgument("study: got no memory left for another one, expected some; close a study first")
        try:
            return self.workplace.new_study(io.read(path, max_bytes=most), name)
        except InvalidArgument as error:
            raise InvalidArgument(str(error).replace(f"{path.parent}{os.sep}", "")) from error

    async def close(self, name: str) -> None:
        """Saves a study's work and forgets the study. InvalidArgument if it cannot be saved; it then stays open."""
        opened = self.study(name)
        opened.cancel()
        async with self._changing:
            await self.workplace.worker.run(name, opened.close)
            await self.forget(name)

    async def forget(self, name: str) -> None:
        """Removes all that belongs to a study, as it was last saved; nothing happens if there is none."""
        study = self.workplace.studies.get(name)
        if study is not None:
            self.workplace.forget_study(study)
        opened = self._open.pop(name, None)
        if opened is not None:
            opened.closed.set()
        await drop_folder(self._folders.pop(name, None))

    def save_soon(self, opened: OpenStudy) -> None:
        """Has the worker save a study when it is next free; further steps until then are saved with it."""
        name = opened.study.id
        if name in self._saving:
            return
        self._saving.add(name)

        def save() -> None:
            self._saving.discard(name)
            with contextlib.suppress(Error):  # which an event and the standing have told of
                opened.save()

        self.workplace.worker.submit(name, save)


async def drop_folder(folder: Path | None) -> None:
    """Removes an upload's folder."""
    if folder is not None:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
