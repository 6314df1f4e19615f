# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the page has open: studies by their id, and the folders of those that were uploaded."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from starlette.exceptions import HTTPException

from medsam_engine import io
from medsam_engine.errors import InvalidArgument
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.workplace import Workplace


class Desk:
    """The page's view of a Workplace. Used on the event loop only, but for `read_upload`.

    Attributes:
        workplace: whose studies these are.
    """

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self._open: dict[str, OpenStudy] = {}
        self._folders: dict[str, Path] = {}
        self._saving: set[str] = set()
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

    @staticmethod
    def drop_folder(folder: Path) -> None:
        """Removes an upload's folder."""
        shutil.rmtree(folder, ignore_errors=True)

    def room(self) -> int:
        """Bytes of voxels that further uploaded studies may have."""
        held = sum(study.image.array.nbytes for study in self.workplace.studies.values())
        return max(0, self.workplace.limits.image_bytes - held)

    def read_upload(self, path: Path, most: int) -> io.MedicalImage:
        """Reads uploaded files; the worker's thread. Raises as io.read, without the folder's name."""
        if most < 1:
            raise InvalidArgument("study: got no memory left for another one, expected some; close a study first")
        try:
            return io.read(path, max_bytes=most)
        except InvalidArgument as error:
            raise InvalidArgument(str(error).replace(f"{path.parent}/", "")) from error

    def add(self, image: io.MedicalImage, name: str, folder: Path | None) -> OpenStudy:
        """Opens an image; its files stay in `folder` until it is closed. Raises as Workplace.open_study."""
        study = self.workplace.open_study(image, name)
        if folder is not None:
            self._folders[study.id] = folder
        return self.study(study.id)

    async def close(self, name: str) -> None:
        """Saves a study's work and forgets the study."""
        opened = self.study(name)
        opened.closed.set()
        await self.workplace.worker.run(name, opened.save)
        self.workplace.studies.pop(name, None)
        self._open.pop(name, None)
        folder = self._folders.pop(name, None)
        if folder is not None:
            self.drop_folder(folder)

    def save_soon(self, opened: OpenStudy) -> None:
        """Has the worker save a study when it is next free; further steps until then are saved with it."""
        name = opened.study.id
        if name in self._saving:
            return
        self._saving.add(name)

        def save() -> None:
            self._saving.discard(name)
            opened.save()

        self.workplace.worker.submit(name, save)
