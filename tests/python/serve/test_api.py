# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""/api/: every step as the page makes it, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_builder import affine
from nifti_builder import save as save_nifti
from starlette.testclient import TestClient

from medsam_engine import Engine, Session, io
from medsam_engine.errors import InvalidArgument
from medsam_engine.serve.access import Access
from medsam_engine.serve.api.masks import mask_of, runs_of
from medsam_engine.serve.app import create_app
from medsam_engine.serve.workplace import Workplace

SHAPE = (5, 40, 48)


@pytest.fixture
def client(tiny_engine: Engine, tmp_path: Path) -> Iterator[TestClient]:
    place = Workplace(tiny_engine, Access("127.0.0.1", no_key=True), folder=tmp_path / "saved")
    with TestClient(create_app(place), base_url="http://127.0.0.1") as client:
        yield client


def values() -> np.ndarray[Any, Any]:
    return np.random.default_rng(4).integers(-500, 500, SHAPE).astype(np.int16)


def uploaded(client: TestClient, path: Path) -> str:
    upload = client.post("/api/uploads", json={"name": path.name, "files": 1}).json()["upload"]
    url = f"/api/uploads/{upload}/files/0?name=../../{path.name}"
    assert client.put(url, content=path.read_bytes()).status_code == 204
    reply = client.post(f"/api/uploads/{upload}/open")
    assert reply.status_code == 201, reply.text
    return str(reply.json()["study"])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path: Path = save_nifti(tmp_path / "scan.nii.gz", values().transpose(), affine(2))
    return path


def test_a_volume_comes_as_it_is(client: TestClient, scan: Path) -> None:
    study = uploaded(client, scan)
    described = client.get(f"/api/studies/{study}").json()
    assert described["shape"] == list(SHAPE)
    assert described["type"] == "int16"
    np.testing.assert_allclose(described["affine"], io.read(scan).affine)
    content = client.get(f"/api/studies/{study}/volume").content
    np.testing.assert_array_equal(np.frombuffer(content, "<i2").reshape(SHAPE), values())


def test_steps_are_the_sessions(client: TestClient, scan: Path, tiny_engine: Engine) -> None:
    """Masks, changed boxes, undo and redo are those of a Session with the same calls."""
    study = uploaded(client, scan)
    image = io.read(scan)
    session = Session(tiny_engine, image.array, image.spacing)
    base = f"/api/studies/{study}"
    for axis, index, box in ((0, 2, [10, 5, 30, 25]), (1, 7, [3, 1, 20, 3]), (2, 9, [4, 0, 30, 4])):
        reply = client.post(
            f"{base}/prompts", json={"kind": "box", "object": "a", "box": box, "axis": axis, "slice": index}
        ).json()
        assert reply["changed"] == list(session.add_box("a", box, index, axis) or ())
        (sent,) = reply["masks"]
        x0, y0, z0, x1, y1, z1 = sent["box"]
        expected = session.mask("a")[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1]
        np.testing.assert_array_equal(mask_of(sent["runs"], expected.shape), expected)
    undone = client.post(f"{base}/undo").json()
    assert undone["changed"] == list(session.undo() or ())
    redone = client.post(f"{base}/redo").json()
    assert redone["changed"] == list(session.redo() or ())
    assert client.get(f"{base}/masks").json()["objects"][0]["voxels"] == int(session.mask("a").sum())
    content = client.get(f"{base}/export?format=nifti").content
    saved = scan.parent / "saved.nii.gz"
    saved.write_bytes(content)
    np.testing.assert_array_equal(io.read_labels(saved)[0].astype(bool), session.mask("a"))


def test_a_preview_is_what_the_click_finds(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    place = {"axis": 1, "slice": 7, "point": [9, 2]}
    revision = client.get(base).json()["revision"]
    client.post(f"{base}/prompts", json={"kind": "box", "object": "a", "box": [3, 1, 20, 3], "axis": 1, "slice": 7})
    runs = client.post(f"{base}/preview", json=place).json()["runs"]
    described = client.get(base).json()
    assert (described["revision"], described["undo"], len(described["objects"])) == (revision + 1, 1, 1)
    reply = client.post(f"{base}/prompts", json={"kind": "click", "object": "b", **place}).json()
    (sent,) = reply["masks"]
    x0, _, z0, x1, _, z1 = sent["box"]
    found = np.zeros((SHAPE[0], SHAPE[2]), bool)
    found[z0 : z1 + 1, x0 : x1 + 1] = mask_of(sent["runs"], (z1 - z0 + 1, x1 - x0 + 1))
    np.testing.assert_array_equal(mask_of(runs, found.shape), found)
    for wrong in ({**place, "slice": 4000}, {**place, "point": [900, 2]}, {**place, "axis": 3}, {"point": [1, 2]}):
        assert client.post(f"{base}/preview", json=wrong).status_code == 400


def test_paint_and_erase(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    paint = {"kind": "paint", "object": "p", "box": [2, 3, 1, 5, 4, 1], "runs": [0, 8]}
    assert client.post(f"{base}/prompts", json=paint).json()["changed"] == [2, 3, 1, 5, 4, 1]
    erased = client.post(f"{base}/prompts", json={**paint, "box": [2, 3, 1, 3, 3, 1], "runs": [0, 2], "erase": True})
    assert erased.json()["objects"][0]["voxels"] == 6


def test_paint_can_replace_a_mask(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    paint = {"kind": "paint", "object": "a", "box": [1, 2, 3, 4, 2, 3], "runs": [0, 4]}
    client.post(f"{base}/prompts", json=paint)
    other = {**paint, "box": [4, 2, 3, 9, 2, 3], "runs": [1, 5], "replace": True}
    reply = client.post(f"{base}/prompts", json=other).json()
    assert reply["objects"][0]["voxels"] == 5
    assert reply["objects"][0]["box"] == [5, 2, 3, 9, 2, 3]
    assert reply["changed"] == [1, 2, 3, 9, 2, 3]


def test_no_propagation_runs(client: TestClient, scan: Path) -> None:
    reply = client.get(f"/api/studies/{uploaded(client, scan)}/propagation")
    assert reply.status_code == 200
    assert reply.json() is None


def test_an_export_says_what_overlaps(client: TestClient, scan: Path) -> None:
    """A file has one label per voxel; what another object has lost to it is told."""
    base = f"/api/studies/{uploaded(client, scan)}"
    paint = {"kind": "paint", "object": "p", "box": [2, 3, 1, 5, 4, 1], "runs": [0, 8]}
    client.post(f"{base}/prompts", json=paint)
    assert client.get(f"{base}/export").headers["medsam-overlapping-voxels"] == "0"
    client.post(f"{base}/prompts", json={**paint, "object": "q", "box": [4, 4, 1, 7, 5, 1]})
    objects = client.get(base).json()["objects"]
    assert [item["voxels"] for item in objects] == [8, 8]
    reply = client.get(f"{base}/export")
    saved = scan.parent / "saved.nii.gz"
    saved.write_bytes(reply.content)
    assert np.count_nonzero(io.read_labels(saved)[0]) == 14
    assert reply.headers["medsam-overlapping-voxels"] == "2"


def test_names_colors_and_work_come_back(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    client.post(f"{base}/prompts", json={"kind": "box", "object": "a", "box": [1, 1, 20, 20], "slice": 1})
    changed = client.patch(
        f"{base}/objects/a", json={"name": "left\nkidney", "color": "#00ff7f", "locked": True}
    ).json()
    assert client.delete(base).status_code == 204
    again = client.get(f"/api/studies/{uploaded(client, scan)}").json()
    assert again["resumed"]
    assert again["objects"] == changed["objects"]
    assert again["objects"][0]["name"] == "left kidney"


def test_a_new_object_does_not_get_the_name_of_one_that_is_gone(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    paint = {"kind": "paint", "object": "object 1", "box": [1, 2, 3, 4, 2, 3], "runs": [0, 4]}
    client.post(f"{base}/prompts", json=paint)
    client.patch(f"{base}/objects/object%201", json={"name": "left kidney"})
    client.delete(f"{base}/objects/object%201")
    back = client.post(f"{base}/undo").json()
    assert [item["name"] for item in back["objects"]] == ["left kidney"]
    client.post(f"{base}/reset")
    new = client.post(f"{base}/prompts", json=paint).json()
    assert [item["name"] for item in new["objects"]] == ["object 1"]


def test_a_refused_name_changes_nothing(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    client.post(f"{base}/prompts", json={"kind": "box", "object": "a", "box": [1, 1, 20, 20], "slice": 1})
    before = client.get(base).json()["objects"]
    refused = client.patch(f"{base}/objects/a", json={"name": "\x00\x01", "color": "#00ff7f", "locked": True})
    assert refused.status_code == 400
    assert client.get(base).json()["objects"] == before


def test_a_body_that_is_too_long_is_that(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    reply = client.post(f"{base}/preview", content=b" " * ((1 << 20) + 1))
    assert reply.status_code == 413
    assert reply.json()["detail"].startswith("body: got 1048577 bytes")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "box"},
        {"kind": "box", "object": "a", "box": [1, 2, 3]},
        {"kind": "box", "object": "a", "box": [1, 2, 30, 30], "slice": 99},
        {"kind": "box", "object": "a", "box": [1, 2, 30, 30], "slice": True},
        {"kind": "click", "object": "a", "point": [1e400, 2], "slice": 1},
        {"kind": "click", "object": "", "point": [1, 2], "slice": 1},
        {"kind": "paint", "object": "a", "box": [0, 0, 0, 3, 3, 0], "runs": [4, 3]},
        {"kind": "paint", "object": "a", "box": [0, 0, 0, 48, 3, 0], "runs": [196]},
        {"kind": "paint", "object": "a", "box": [3, 0, 0, 1, 3, 0], "runs": [1]},
        {"kind": "lasso", "object": "a", "outline": [[1, 2]], "slice": 1},
        {"kind": "none", "object": "a", "path": "/etc/passwd"},
    ],
)
def test_what_a_prompt_may_not_say(body: dict[str, Any], client: TestClient, scan: Path) -> None:
    """One line, and the study stays as it was."""
    base = f"/api/studies/{uploaded(client, scan)}"
    import json

    reply = client.post(f"{base}/prompts", content=json.dumps(body))
    assert reply.status_code == 400
    detail = reply.json()["detail"]
    assert ": got" in detail
    assert "\n" not in detail
    assert len(detail) < 300
    assert client.get(base).json()["objects"] == []


def test_uploads_are_bounded_and_named_by_the_server(client: TestClient) -> None:
    upload = client.post("/api/uploads", json={"name": "x", "files": 1}).json()["upload"]
    assert client.put(f"/api/uploads/{upload}/files/1", content=b"x").status_code == 400
    assert client.put(f"/api/uploads/{upload}/files/0?name=a.mhd", content=b"x").status_code == 400
    assert client.post(f"/api/uploads/{upload}/open").status_code == 400
    assert client.put(f"/api/uploads/{upload}/files/0?name=/etc/passwd.nii", content=b"junk").status_code == 204
    reply = client.post(f"/api/uploads/{upload}/open")
    assert reply.status_code == 400
    assert "/tmp" not in reply.json()["detail"]
    assert client.post(f"/api/uploads/{upload}/open").status_code == 404


def test_unknown_studies_objects_and_formats(client: TestClient, scan: Path) -> None:
    base = f"/api/studies/{uploaded(client, scan)}"
    assert client.get("/api/studies/none").status_code == 404
    assert client.delete(f"{base}/objects/none").status_code == 400
    assert client.get(f"{base}/export?format=exe").status_code == 400
    assert client.get(f"{base}/export").json()["detail"].startswith("export: got")


def test_every_route_is_in_the_document(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    app: Any = client.app
    routes = {route.path.replace(":int", "") for route in app.routes if route.path.startswith("/api/")}
    assert routes == set(document["paths"])


def test_runs() -> None:
    for mask in (np.zeros((2, 3), bool), np.ones((1, 4), bool), np.random.default_rng(1).random((5, 6, 7)) > 0.5):
        np.testing.assert_array_equal(mask_of(runs_of(mask), mask.shape), mask)
    with pytest.raises(InvalidArgument, match="runs: got"):
        mask_of([3, -1], (1, 2))


def test_the_sample(client: TestClient) -> None:
    study = client.post("/api/sample").json()["study"]
    assert client.get(f"/api/studies/{study}").json()["shape"] == [300, 484]
