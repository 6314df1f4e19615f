# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that are dropped on the page: one request each, into a private folder, under names of the server's own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.io.formats import KNOWN_SUFFIXES, suffix_of
from medsam_engine.io.label_names import cleaned
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.desk import Desk
from medsam_engine.serve.api.open_study import OpenStudy

_OPEN = 4
_HEADER_ONLY = (".mhd", ".nhdr")  # their voxels are in a file that they name
# A contrast-enhanced abdominal MR slice that comes with pydicom; `make demo` has it, too.
_SAMPLE = "examples_overlay.dcm"


@dataclass
class _Upload:
    name: str
    folder: Path
    files: int
    sizes: dict[int, int] = field(default_factory=dict)
    suffixes: dict[int, str] = field(default_factory=dict)


class Uploads:
    """Handlers. An upload is made, filled file by file, and opened; or dropped."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._uploads: dict[str, _Upload] = {}

    def routes(self) -> list[BaseRoute]:
        """The routes of this class."""
        one = "/api/uploads/{upload}"
        return [
            Route("/api/uploads", self.begin, methods=["POST"]),
            Route(f"{one}/files/{{number:int}}", self.put, methods=["PUT"]),
            Route(f"{one}/open", self.open, methods=["POST"]),
            Route(one, self.drop, methods=["DELETE"]),
            Route("/api/sample", self.sample, methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """A new upload. The oldest one is dropped when too many were begun and never opened."""
        asked = await bodies.body_of(request, bodies.NewUpload)
        while len(self._uploads) >= _OPEN:
            self._forget(next(iter(self._uploads)))
        key = secrets.token_hex(8)
        self._uploads[key] = _Upload(cleaned(asked.name) or "image", self._desk.new_folder(), asked.files)
        return JSONResponse({"upload": key}, 201)

    async def put(self, request: Request) -> Response:
        """One file. Its name tells the format by its ending, and nothing else is made of it."""
        upload = self._upload(request)
        number = request.path_params["number"]
        if number >= upload.files:
            raise InvalidArgument(f"file: got number {number}, expected one below the {upload.files} announced")
        suffix = suffix_of(Path(request.query_params.get("name", "")))
        if suffix in _HEADER_ONLY:
            raise InvalidArgument(
                f"file: got a {suffix} header, whose voxels are in another file, expected one file; "
                "name it to medsam-engine serve, or save it as .mha or .nrrd"
            )
        suffix = suffix if suffix in KNOWN_SUFFIXES else ""
        room = self._desk.workplace.limits.body_bytes - sum(upload.sizes.values()) + upload.sizes.get(number, 0)
        target = upload.folder / f"{number:05d}{suffix}"
        size = 0
        try:
            with target.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > room:
                        raise HTTPException(413, f"upload: got more than {room} bytes, expected at most that many")
                    file.write(chunk)
        except (ClientDisconnect, HTTPException, OSError):
            target.unlink(missing_ok=True)
            raise
        upload.sizes[number], upload.suffixes[number] = size, suffix
        return Response(status_code=204)

    async def open(self, request: Request) -> Response:
        """Reads what has come, as a study."""
        upload = self._upload(request)
        if len(upload.sizes) != upload.files:
            raise InvalidArgument(f"upload: got {len(upload.sizes)} files, expected {upload.files}; send the others")
        key = request.path_params["upload"]
        path = upload.folder / f"00000{upload.suffixes[0]}" if upload.files == 1 else upload.folder
        self._uploads.pop(key)
        try:
            opened = await self._opened(path, upload.name, upload.folder)
        except BaseException:
            self._desk.drop_folder(upload.folder)
            raise
        return JSONResponse({"study": opened.study.id}, 201)

    async def drop(self, request: Request) -> Response:
        """Forgets an upload."""
        self._upload(request)
        self._forget(request.path_params["upload"])
        return Response(status_code=204)

    async def sample(self, _request: Request) -> Response:
        """Opens an image that every installation has."""
        opened = await self._opened(_sample_path(), "sample: abdominal MR", None)
        return JSONResponse({"study": opened.study.id}, 201)

    async def _opened(self, path: Path, name: str, folder: Path | None) -> OpenStudy:
        place = self._desk.workplace
        image = await place.worker.run("upload", self._desk.read_upload, path, self._desk.room())
        opened = self._desk.add(image, name, folder)
        try:
            await place.worker.run(opened.study.id, opened.study.prepare)
        except BaseException:
            place.studies.pop(opened.study.id, None)
            raise
        return opened

    def _upload(self, request: Request) -> _Upload:
        upload = self._uploads.get(request.path_params["upload"])
        if upload is None:
            raise HTTPException(404, "upload: got an unknown one, expected one from POST /api/uploads")
        return upload

    def _forget(self, key: str) -> None:
        self._desk.drop_folder(self._uploads.pop(key).folder)


def _sample_path() -> Path:
    require("pydicom", "opening the sample image")
    import pydicom.data

    path = pydicom.data.get_testdata_file(_SAMPLE, download=False)
    if not isinstance(path, str):
        raise InvalidArgument("sample: got a pydicom without examples_overlay.dcm; install pydicom 3")
    return Path(path)
