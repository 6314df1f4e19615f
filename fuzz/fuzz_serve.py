# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Fuzzes what clients send to `medsam-engine serve` with atheris: ``fuzz_serve.py nnia|protocol CORPUS [flags]``.

scripts/run/fuzz.sh runs it. `nnia`: any bytes, or changed bytes of a sound packed array, give an array within the limit
that packs to itself, or BadArray in one printable line. `protocol`: any X-Meta and body to the routes of prompts and
images give 200, or a refusal in one line; what a client has then put together of the replies is the server's mask.
"""

from __future__ import annotations

import asyncio
import json
import resource
import struct
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["medsam_engine.serve"]):
    import numpy as np

    from medsam_engine import Engine
    from medsam_engine.serve.access import Access
    from medsam_engine.serve.app import create_app
    from medsam_engine.serve.nnia import BadArray, pack, unpack
    from medsam_engine.serve.nninteractive.geometry import whole
    from medsam_engine.serve.workplace import Limits, Workplace

MOST = 1 << 16  # bytes of values
MEMORY = 8 << 30  # of the address space
CHANGED = b"C"  # begins an input that is changes to a sound array; NNIA begins with N
TYPES = ("uint8", "bool", "int16", "float32")
SHAPE = (6, 28, 32)
MASK = np.zeros((1, 8, 10), np.uint8)
MASK[0, 2:6, 2:8] = 1
BUNDLE = Path(__file__).resolve().parents[1] / "tests/data/tiny_bundle"


def expect(holds: bool, what: str) -> None:
    """An invariant; atheris takes an exception for a finding."""
    if not holds:
        raise RuntimeError(f"finding: {what}")


def changed_array(data: bytes) -> bytes:
    """A sound array, of the type and length that two bytes say, with some of its bytes changed: place, value, ..."""
    kind, size = data[0] % len(TYPES), data[1]
    values = np.arange(size * 16).astype(TYPES[kind]).reshape(2, -1, 2)
    packed = bytearray(pack(values * (data[1] % 2 == 0)))
    for place, value in struct.iter_unpack("<HB", data[2 : 2 + (len(data) - 2) // 3 * 3]):
        packed[place % len(packed)] = value
    return bytes(packed)


def check_nnia(data: bytes) -> None:
    """One input as a packed array."""
    content = changed_array(data[1:]) if data[:1] == CHANGED and len(data) > 2 else data
    try:
        array = unpack(content, MOST)
    except BadArray as error:
        expect(str(error).isprintable(), f"an error in more than one line: {error!r}")
        return
    expect(array.nbytes <= MOST, f"{array.nbytes} bytes")
    again = unpack(pack(array), MOST)
    expect(again.dtype == array.dtype and again.shape == array.shape, "another type or shape")
    expect(again.tobytes() == array.tobytes(), "other values")


def nnia_seeds() -> list[bytes]:
    """Arrays of several types, and changes that leave them as they are."""
    arrays = [np.arange(24, dtype=kind).reshape(2, 3, 4) for kind in ("uint8", "int16", "float64")]
    arrays += [np.zeros((4, 64, 64), np.bool_), np.zeros((0, 3), np.int8)]
    return [*map(pack, arrays), *(CHANGED + bytes([kind, 40 + kind, 0, 0, ord("N")]) for kind in range(len(TYPES)))]


class Server:
    """The application on the tiny bundle, whose lease has an image, without a socket; and a client's mask."""

    routes = (
        *("/add_bbox_interaction", "/add_point_interaction", "/set_target_buffer", "/set_do_autozoom", "/predict"),
        *("/add_scribble_interaction", "/add_lasso_interaction", "/add_initial_seg_interaction", "/set_image", "/undo"),
    )

    def __init__(self) -> None:
        self._place = Workplace(
            Engine(BUNDLE, threads=1), Access("127.0.0.1", no_key=True), Limits(image_bytes=1 << 20)
        )
        self._app = create_app(self._place)
        self._runner = asyncio.Runner()
        self._token = b""
        status, _, body = self.ask("/claim", b"{}", b"")
        expect(status == 200, "no lease")
        self._token = json.loads(body)["lease_token"].encode()
        (self._lease,) = self._place.leases
        self.begin()

    def ask(self, path: str, meta: bytes, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """One request: status, headers and body of the reply."""
        headers = [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode())]
        headers += [(b"x-meta", meta), (b"x-lease-token", self._token)]
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
        }
        scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "client": None}
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        self._runner.run(self._app(scope, receive, send))
        content = b"".join(part.get("body", b"") for part in sent[1:])
        return sent[0]["status"], dict(sent[0]["headers"]), content

    def begin(self) -> None:
        """A new image and nothing drawn; prompts stay on their plane."""
        self._ask_well(
            "/set_image", b'{"image_properties": {"spacing": [2, 1, 1]}}', pack(np.zeros((1, *SHAPE), np.uint8))
        )
        self._ask_well("/set_target_buffer", b"{}", json.dumps({"shape": SHAPE, "dtype": "uint8"}).encode())
        self._ask_well("/set_do_autozoom", b"{}", b'{"do_autozoom": false}')

    def _ask_well(self, path: str, meta: bytes, body: bytes) -> None:
        status, _, content = self.ask(path, meta, body)
        expect(status == 200, f"{path}: {content!r}")

    def check(self, data: bytes) -> None:
        """One input: after a byte for the route X-Meta, a zero byte and the body; or, where there is none, a body."""
        if not data:
            return
        path = self.routes[data[0] % len(self.routes)]
        meta, _, body = data[1:].partition(b"\0")
        drawn = np.zeros(SHAPE, np.uint8)
        for sent_path, sent_meta, sent_body in (
            (path, meta, body),
            ("/add_bbox_interaction", b"{}", BOX),
            ("/undo", b"{}", b"{}"),
        ):
            status, headers, content = self.ask(sent_path, sent_meta, sent_body)
            self._check_reply(status, headers, content, drawn if path not in RENEW else None)
        if path in RENEW:
            self.begin()
            return
        expect(
            np.array_equal(drawn, self._lease.content.drawing.object_in(whole(SHAPE))), "the client's mask is another"
        )
        self._ask_well("/set_do_autozoom", b"{}", b'{"do_autozoom": false}')
        self._ask_well("/reset_interactions", b"{}", b"{}")

    @staticmethod
    def _check_reply(status: int, headers: dict[bytes, bytes], content: bytes, drawn: Any) -> None:
        if status != 200:
            expect(status in (400, 413), f"status {status}: {content!r}")
            detail = json.loads(content)["detail"]
            expect(detail.isprintable() and len(detail) < 400, f"a refusal in more than one line: {detail!r}")
            return
        told = json.loads(headers.get(b"x-meta", b"{}"))
        if told.get("bbox") is None or drawn is None:
            return
        values = unpack(content, MOST)
        expect(
            list(values.shape) == told["shape"] and values.dtype.name == told["dtype"], "X-Meta tells of another array"
        )
        drawn[tuple(slice(*pair) for pair in told["bbox"])] = values


RENEW = (
    "/set_image",
    "/set_target_buffer",
    "/add_initial_seg_interaction",
)  # after which the client's mask is another one
BOX = json.dumps({"bbox_coords": [[2, 3], [4, 12], [6, 20]], "include_interaction": True}).encode()


def protocol_seeds() -> list[bytes]:
    """What clients send to each route."""
    flags = {"include_interaction": True, "run_prediction": True}
    meta = json.dumps(flags | {"interaction_bbox": [[2, 3], [4, 12], [6, 16]]}).encode()
    waits = json.dumps({"bbox_coords": [[1.5, 2.5], [4, 12], [6, 20]], **flags, "run_prediction": False}).encode()
    bodies = {
        "/add_bbox_interaction": (b"", BOX),
        "/add_point_interaction": (b"", json.dumps({"coordinates": [2, 8, 10.5], **flags}).encode()),
        "/set_target_buffer": (b"", json.dumps({"shape": SHAPE, "dtype": "int16"}).encode()),
        "/set_do_autozoom": (b"", b'{"do_autozoom": true}'),
        "/predict": (b"", b'{"force_full_refine": true}'),
        "/add_scribble_interaction": (meta, pack(MASK)),
        "/add_lasso_interaction": (meta, pack(MASK)),
        "/add_initial_seg_interaction": (json.dumps(flags).encode(), pack(np.ones(SHAPE, np.uint8))),
        "/set_image": (b'{"image_properties": {"spacing": [1, 1, 4]}}', pack(np.ones((1, *SHAPE), np.int16))),
        "/undo": (b"", b""),
    }
    seeds = [bytes([Server.routes.index(path)]) + b"\0".join(parts) for path, parts in bodies.items()]
    return [*seeds, bytes([0]) + b"\0" + waits]


def main() -> None:
    """Runs until libFuzzer's flags end it."""
    kind, folder, *flags = sys.argv[1:]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, content in enumerate({"nnia": nnia_seeds, "protocol": protocol_seeds}[kind]()):
            (corpus / f"seed{number}").write_bytes(content)
    np.seterr(all="ignore")
    check = check_nnia if kind == "nnia" else Server().check
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    atheris.Setup([sys.argv[0], *flags, folder], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
