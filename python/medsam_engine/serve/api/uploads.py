# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that are dropped on the page: one request each, into a private folder, under names of the server's own."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.io.formats import KNOWN_SUFFIXES, suffix_of
from medsam_engine.io.label_names import cleaned
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.desk import Desk, drop_folder
from medsam_engine.serve.refusals import TooLarge

_OPEN = 4
_IDLE_SECONDS = 60.0  # after which an upload without traffic may be dropped for another
_WRITTEN_AT_ONCE = 1 << 20
_HEADER_ONLY = (".mhd", ".nhdr")  # their voxels are in a file that they name
# A contrast-enhanced abdominal MR slice that comes with pydicom; `make demo` has it, too.
_SAMPLE = "examples_overlay.dcm"


@dataclass
class _Upload:
    name: str
    folder: Path
    files: int
    last_use: float
    suffixes: dict[int, str] = field(default_factory=dict)  # of the files that have come, by their number
    arriving: set[int] = field(default_factory=set)
    size: int = 0  # bytes of what has come, and of what is announced of the files that are coming


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
        """A new upload. When there are too many, the one that has been idle for longest is dropped."""
        asked = await bodies.body_of(request, bodies.NewUpload)
        if len(self._uploads) >= _OPEN:
            await self._drop_idle()
        key = secrets.token_hex(8)
        name = cleaned(asked.name) or "image"
        self._uploads[key] = _Upload(name, self._desk.new_folder(), asked.files, time.monotonic())
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
        if number in upload.suffixes or number in upload.arriving:
            raise HTTPException(409, f"file: got number {number} again, expected each once; begin another upload")
        length = int(request.headers.get("content-length", "0"))
        room = self._desk.workplace.limits.body_bytes - upload.size
        if length > room:
            raise TooLarge(f"upload: got {length} bytes more, expected at most {room}; name it to medsam-engine serve")
        upload.arriving.add(number)
        upload.size += length
        try:
            await _receive(request, upload.folder / f"{number:05d}{suffix}", length)
            if request.path_params["upload"] not in self._uploads:
                await drop_folder(upload.folder)  # which on Windows holds the file that was open
                raise FileNotFoundError
            upload.suffixes[number] = suffix
        except FileNotFoundError as error:  # its folder
            upload.size -= length
            raise HTTPException(404, "upload: got one that was dropped, expected one that is; begin another") from error
        except BaseException:
            upload.size -= length
            raise
        finally:
            upload.arriving.discard(number)
            upload.last_use = time.monotonic()
        return Response(status_code=204)

    async def open(self, request: Request) -> Response:
        """Reads what has come, as a study."""
        upload = self._upload(request)
        if len(upload.suffixes) != upload.files:
            raise InvalidArgument(f"upload: got {len(upload.suffixes)} files, expected {upload.files}; send the others")
        key = request.path_params["upload"]
        path = upload.folder / f"00000{upload.suffixes[0]}" if upload.files == 1 else upload.folder
        self._uploads.pop(key)
        opened = await self._desk.open(path, upload.name, upload.folder)
        return JSONResponse({"study": opened.study.id}, 201)

    async def drop(self, request: Request) -> Response:
        """Forgets an upload."""
        self._upload(request)
        await self._forget(request.path_params["upload"])
        return Response(status_code=204)

    async def sample(self, _request: Request) -> Response:
        """Opens an image that every installation has."""
        opened = await self._desk.open(_sample_path(), "sample: abdominal MR", None)
        return JSONResponse({"study": opened.study.id}, 201)

    def _upload(self, request: Request) -> _Upload:
        upload = self._uploads.get(request.path_params["upload"])
        if upload is None:
            raise HTTPException(404, "upload: got an unknown one, expected one from POST /api/uploads")
        return upload

    async def _forget(self, key: str) -> None:
        await drop_folder(self._uploads.pop(key).folder)

    async def _drop_idle(self) -> None:
        """Makes room for one more upload. HTTPException 429: all of them are being filled."""
        key, upload = min(self._uploads.items(), key=lambda item: (bool(item[1].arriving), item[1].last_use))
        if upload.arriving or time.monotonic() - upload.last_use < _IDLE_SECONDS:
            raise HTTPException(
                429, f"upload: got {len(self._uploads)} being filled, expected fewer than {_OPEN}; try later"
            )
        await self._forget(key)


async def _receive(request: Request, target: Path, length: int) -> None:
    """Writes a body of `length` bytes, which appears as `target` when it is whole; off the event loop.

    FileNotFoundError: the folder was removed meanwhile. InvalidArgument: the disk is full.
    """
    temporary = target.with_name(f"{secrets.token_hex(8)}.part")
    size = 0
    held = bytearray()
    try:
        with await run_in_threadpool(temporary.open, "xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > length:
                    raise TooLarge(f"file: got more than {length} bytes, expected as many as Content-Length says")
                held += chunk
                if len(held) >= _WRITTEN_AT_ONCE:
                    await run_in_threadpool(file.write, bytes(held))
                    held.clear()
            await run_in_threadpool(file.write, bytes(held))
            await run_in_threadpool(file.flush)
        temporary.rename(target)
    except FileNotFoundError:
        raise
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InvalidArgument(
            f"upload: got {error.strerror or 'an error of the disk'}, expected room for {length} bytes in the server's "
            "temporary folder; make room there"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sample_path() -> Path:
    require("pydicom", "opening the sample image")
    import pydicom.data

    path = pydicom.data.get_testdata_file(_SAMPLE, download=False)
    if not isinstance(path, str):
        raise InvalidArgument("sample: got a pydicom without examples_overlay.dcm; install pydicom 3")
    return Path(path)
