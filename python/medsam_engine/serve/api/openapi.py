# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The OpenAPI document of /api/, at /api/openapi.json; bodies are those that the routes check with.

tests/python/serve/test_openapi.py sends requests that are made from it and holds the replies against it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import medsam_engine
from medsam_engine.serve.api import bodies, replies
from medsam_engine.serve.api.export import SUFFIXES

_STUDY = "/api/studies/{study}"
_UPLOAD = "/api/uploads/{upload}"
_BYTES = "application/octet-stream"
_JSON = "application/json"


class _Operation(NamedTuple):
    method: str
    path: str
    summary: str
    reply: Any  # a model of replies, or the media type of raw bytes, or None
    status: int = 200
    body: Any = None  # a model or adapter of bodies, or the media type of raw bytes
    query: tuple[str, ...] = ()
    refusals: tuple[int, ...] = ()  # beside those of every request, of a body and of an unknown study


_OPERATIONS = (
    _Operation("get", "/api/state", "What is open, and what the engine is", replies.State),
    _Operation("get", "/api/openapi.json", "This document", dict[str, Any]),
    _Operation("get", _STUDY, "A study: shape, geometry, window, objects, formats", replies.StudyReply),
    _Operation("delete", _STUDY, "Save and close a study", None, 204, refusals=(400,)),
    _Operation("get", f"{_STUDY}/volume", "All values, C order, little endian", _BYTES),
    _Operation("get", f"{_STUDY}/masks", "The masks of all objects", replies.Masks),
    _Operation("get", f"{_STUDY}/events", "Server-sent events", "text/event-stream"),
    _Operation("get", f"{_STUDY}/export", "The objects as a file", _BYTES, query=("format",), refusals=(400,)),
    _Operation("post", f"{_STUDY}/prompts", "Draw on an object", replies.Step, body=bodies.PROMPT),
    _Operation(
        "post", f"{_STUDY}/preview", "What a click would find, without a step", replies.Preview, body=bodies.Preview
    ),
    _Operation(
        "post", f"{_STUDY}/propagate", "Carry an object through the volume", replies.Propagated, body=bodies.Propagate
    ),
    _Operation(
        "get", f"{_STUDY}/propagation", "How far a propagation is; null while none runs", replies.Propagation | None
    ),
    _Operation("post", f"{_STUDY}/cancel", "End the propagation that is running", None, 204),
    _Operation("post", f"{_STUDY}/undo", "Take the last step back", replies.Step),
    _Operation("post", f"{_STUDY}/redo", "Do it again", replies.Step),
    _Operation("post", f"{_STUDY}/reset", "Remove all objects", replies.Step),
    _Operation("patch", f"{_STUDY}/objects/{{key}}", "Name, color, lock", replies.Step, body=bodies.ObjectChange),
    _Operation("delete", f"{_STUDY}/objects/{{key}}", "Remove an object", replies.Step, refusals=(400,)),
    _Operation(
        "post", "/api/uploads", "Begin an upload", replies.NewUploadReply, 201, body=bodies.NewUpload, refusals=(429,)
    ),
    _Operation(
        "put",
        f"{_UPLOAD}/files/{{number}}",
        "One file of an upload",
        None,
        204,
        body=_BYTES,
        query=("name",),
        refusals=(409,),
    ),
    _Operation("post", f"{_UPLOAD}/open", "Read an upload as a study", replies.Opened, 201, refusals=(400,)),
    _Operation("delete", _UPLOAD, "Forget an upload", None, 204),
    _Operation("post", "/api/sample", "Open the sample image", replies.Opened, 201, refusals=(400,)),
)
# Of every request: the key, the names of the server and of the page, and the server's end.
_OF_ALL = (401, 403, 410)
_OF_A_BODY = (400, 408, 411, 413)
_WHY = {
    400: "The request is not one that can be answered",
    401: "No key, or a wrong one",
    403: "From another page, or under another name of the server",
    404: "Unknown, or closed",
    408: "The body came too slowly",
    409: "This file was sent before",
    410: "The server is ending",
    411: "A body without Content-Length",
    413: "Too much",
    429: "Four uploads are being filled",
}
_QUERY = {
    "format": {"type": "string", "enum": sorted(SUFFIXES), "default": "nifti"},
    "name": {"type": "string", "description": "The file's own name; only its ending is used."},
}


def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schemas)
    schemas["Refusal"] = _schema(replies.Refusal, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "medsam-engine serve", "version": medsam_engine.__version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _described(operation: _Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    refusals = {*_OF_ALL, *operation.refusals}
    if operation.body is not None:
        refusals.update(_OF_A_BODY)
    if "{" in operation.path:
        refusals.add(404)
    refused = {_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    done: dict[str, Any] = {"description": "Done"}
    if operation.reply is not None:
        done["content"] = _content(operation.reply, schemas)
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            str(operation.status): done,
            **{str(status): {"description": _WHY[status], "content": refused} for status in sorted(refusals)},
        },
    }
    parameters = [_parameter(part[1:-1], "path") for part in operation.path.split("/") if part.startswith("{")]
    parameters += [_parameter(name, "query") for name in operation.query]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        # An empty file has no body.
        described["requestBody"] = {
            "required": operation.body != _BYTES,
            "content": _content(operation.body, schemas),
        }
    return described


def _content(what: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    return {what: {}} if isinstance(what, str) else {_JSON: {"schema": _schema(what, schemas)}}


def _parameter(name: str, place: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0} if name == "number" else _QUERY.get(name, {"type": "string"})
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _schema(body: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    adapter = body if isinstance(body, TypeAdapter) else TypeAdapter(body)
    schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    return schema


def document_route() -> Route:
    """GET /api/openapi.json."""
    content = document()

    async def openapi(_request: Request) -> Response:
        return JSONResponse(content)

    return Route("/api/openapi.json", openapi)
