# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Requests that schemathesis makes from our own OpenAPI document of /api/ get the answers that the document promises.

$MEDSAM_API_EXAMPLES is the number of random requests of each operation (`make fuzz-api` sets it; else they are few),
beside those that schemathesis makes of the document's bounds. They are the same in each run. No socket is opened.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

schemathesis = pytest.importorskip("schemathesis")
from nifti_builder import affine
from nifti_builder import save as save_nifti
from schemathesis.config import SchemathesisConfig
from schemathesis.python import asgi
from served import KEY

from medsam_engine import Engine, io
from medsam_engine.serve.access import Access
from medsam_engine.serve.api.openapi import document
from medsam_engine.serve.app import create_app
from medsam_engine.serve.workplace import Workplace

EXAMPLES = int(os.environ.get("MEDSAM_API_EXAMPLES", "8"))
ADDRESS = "http://127.0.0.1"
SETTINGS = {
    "seed": 1,
    "base-url": ADDRESS,
    "headers": {"Authorization": f"Bearer {KEY}"},
    # Parameters that the document does not name are ignored, and no fault.
    "generation": {"database": "none", "deterministic": True, "allow-extra-parameters": False},
    # What fits the document may still not fit the study: a box outside of its image.
    "checks": {"positive_data_acceptance": {"enabled": False}},
}


SIZES = {"slice": 5, "point": 40, "line": 40, "outline": 40, "box": 40}  # of the scan, by the member of a body


class Application:
    """The application of the module's workplace; schemathesis wants one before there is an engine."""

    inner: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError  # or the end of the first test would be the workplace's
        await self.inner(scope, receive, send)


schema = schemathesis.openapi.from_dict(document(), config=SchemathesisConfig.from_dict(SETTINGS))
schema.app = Application()


class Table:
    """The workplace, with a study, an object and an upload that requests can be about."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.place = Workplace(engine, Access("127.0.0.1", KEY), folder=folder / "saved")
        self.place.ending.set()  # so that streams of events end
        schema.app.inner = create_app(self.place)
        self._client = asgi.get_client(schema.app)
        self._client.headers["Authorization"] = f"Bearer {KEY}"
        values = np.random.default_rng(4).integers(-500, 500, (5, 40, 48)).astype(np.int16)
        self._scan = save_nifti(folder / "scan.nii.gz", values.transpose(), affine(2))
        self._upload = ""

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        reply = self._client.request(method, ADDRESS + path, **body)
        assert reply.status_code < 300, reply.text
        return reply

    def study(self) -> str:
        """The scan's study, opened again if it was closed, with an object a."""
        study = next((study for study in self.place.studies.values() if study.name == "scan"), None)
        if study is None:
            study = self.place.open_study(self.place.new_study(io.read(self._scan), "scan"))
        self._ask("POST", f"/api/studies/{study.id}/reset")  # it may be locked
        stroke = {"kind": "paint", "object": "a", "box": [2, 3, 1, 5, 4, 1], "runs": [0, 8]}
        self._ask("POST", f"/api/studies/{study.id}/prompts", json=stroke)
        return study.id

    def upload(self, files: int) -> str:
        """A new upload, of which the first file is here."""
        self.drop()
        self._upload = str(self._ask("POST", "/api/uploads", json={"name": "a", "files": files}).json()["upload"])
        self._ask("PUT", f"/api/uploads/{self._upload}/files/0?name=a.nii.gz", data=self._scan.read_bytes())
        return self._upload

    def drop(self, name: str = "") -> None:
        """Forgets an upload, by default the last one made here."""
        self._client.delete(f"{ADDRESS}/api/uploads/{name or self._upload}")

    def aim(self, case: Any) -> None:
        """Makes three of four names in an address those of what there is, and numbers of a body those of the image."""
        case.body = inside(case.body)
        for name, value in (case.path_parameters or {}).items():
            drawn = zlib.crc32(repr(value).encode())
            if drawn % 4 == 0:
                continue
            if name == "study":
                case.path_parameters[name] = self.study()
            elif name == "upload":
                case.path_parameters[name] = self.upload(files=1 + drawn // 4 % 2)
            elif name == "number":
                if not str(value).isdecimal():
                    continue  # a wrong number stays one
                case.path_parameters[name] = drawn // 4 % 2
            else:
                case.path_parameters[name] = "a"


def inside(value: Any, name: str = "") -> Any:
    """A body with the planes and points of the scan, and the object a, where it has others. What is wrong stays so."""
    if isinstance(value, dict):
        return {key: inside(part, str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [inside(part, name) for part in value]
    if name == "object" and isinstance(value, str) and 1 <= len(value) <= 64:
        return "a" if zlib.crc32(value.encode("utf-8", "surrogatepass")) % 4 else value
    if name in SIZES and type(value) in (int, float) and 0 <= value < 1 << 31:
        return value % SIZES[name]
    return value


@pytest.fixture(scope="module")
def table(tiny_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    table = Table(tiny_engine, tmp_path_factory.mktemp("table"))
    yield table
    asyncio.run(table.place.end())


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, deadline=None)
def test_answers_are_those_of_the_document(case: Any, table: Table) -> None:
    """No status, type of content or form that it does not have, no 5xx, and no wrong request is answered."""
    table.aim(case)
    reply = case.call_and_validate()
    if reply.status_code == 201 and "upload" in reply.json():
        table.drop(reply.json()["upload"])
