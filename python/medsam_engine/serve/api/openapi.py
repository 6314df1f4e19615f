# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The OpenAPI document of /api/, at /api/openapi.json; bodies are those that the routes check with."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import medsam_engine
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.export import SUFFIXES

_STUDY = "/api/studies/{study}"
_UPLOAD = "/api/uploads/{upload}"
_BYTES = "application/octet-stream"
_JSON = "application/json"


class _Operation(NamedTuple):
    method: str
    path: str
    summary: str
    status: int = 200
    body: Any = None  # a model or adapter of bodies, or the media type of raw bytes
    reply: str | None = _JSON
    query: tuple[str, ...] = ()


_OPERATIONS = (
    _Operation("get", "/api/state", "What is open, and what the engine is"),
    _Operation("get", "/api/openapi.json", "This document"),
    _Operation("get", _STUDY, "A study: shape, geometry, window, objects, formats"),
    _Operation("delete", _STUDY, "Save and close a study", 204, reply=None),
    _Operation("get", f"{_STUDY}/volume", "All values, C order, little endian", reply=_BYTES),
    _Operation("get", f"{_STUDY}/masks", "The masks of all objects"),
    _Operation("get", f"{_STUDY}/events", "Server-sent events", reply="text/event-stream"),
    _Operation("get", f"{_STUDY}/export", "The objects as a file", reply=_BYTES, query=("format",)),
    _Operation("post", f"{_STUDY}/prompts", "Draw on an object", body=bodies.PROMPT),
    _Operation("post", f"{_STUDY}/preview", "What a click would find, without a step", body=bodies.Preview),
    _Operation("post", f"{_STUDY}/propagate", "Carry an object through the volume", body=bodies.Propagate),
    _Operation("get", f"{_STUDY}/propagation", "How far a propagation is; null while none runs"),
    _Operation("post", f"{_STUDY}/cancel", "End the propagation that is running", 204, reply=None),
    _Operation("post", f"{_STUDY}/undo", "Take the last step back"),
    _Operation("post", f"{_STUDY}/redo", "Do it again"),
    _Operation("post", f"{_STUDY}/reset", "Remove all objects"),
    _Operation("patch", f"{_STUDY}/objects/{{key}}", "Name, color, lock", body=bodies.ObjectChange),
    _Operation("delete", f"{_STUDY}/objects/{{key}}", "Remove an object"),
    _Operation("post", "/api/uploads", "Begin an upload", 201, body=bodies.NewUpload),
    _Operation(
        "put", f"{_UPLOAD}/files/{{number}}", "One file of an upload", 204, body=_BYTES, reply=None, query=("name",)
    ),
    _Operation("post", f"{_UPLOAD}/open", "Read an upload as a study", 201),
    _Operation("delete", _UPLOAD, "Forget an upload", 204, reply=None),
    _Operation("post", "/api/sample", "Open the sample image", 201),
)
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
    schemas["Refusal"] = {
        "type": "object",
        "properties": {"detail": {"type": "string", "description": "One line: what, got, expected, remedy."}},
        "required": ["detail"],
    }
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
    refusal = {"description": "Refused", "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    done: dict[str, Any] = {"description": "Done"}
    if operation.reply is not None:
        done["content"] = {operation.reply: {}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {str(operation.status): done, "4XX": refusal},
    }
    parameters = [_parameter(part[1:-1], "path") for part in operation.path.split("/") if part.startswith("{")]
    parameters += [_parameter(name, "query") for name in operation.query]
    if parameters:
        described["parameters"] = parameters
    if operation.body == _BYTES:
        described["requestBody"] = {"required": True, "content": {_BYTES: {}}}
    elif operation.body is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": _schema(operation.body, schemas)}}}
    return described


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
