# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The work on studies is saved once, by one server, and whoever draws is told when it is not."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_builder import affine
from nifti_builder import save as save_nifti
from served import DEADLINE
from starlette.testclient import TestClient

from medsam_engine import Engine, InvalidArgument, io
from medsam_engine.io.medical_image import NiftiSource
from medsam_engine.serve.access import Access
from medsam_engine.serve.app import create_app
from medsam_engine.serve.study import Study
from medsam_engine.serve.workplace import Limits, Workplace

SHAPE = (3, 24, 32)
BOX = {"kind": "box", "object": "a", "box": [4, 4, 19, 15], "slice": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "saved"


@pytest.fixture
def new_place(tiny_engine: Engine, folder: Path) -> Iterator[Callable[..., Workplace]]:
    places: list[Workplace] = []

    def make(**limits: Any) -> Workplace:
        places.append(Workplace(tiny_engine, Access("127.0.0.1", no_key=True), Limits(**limits), folder=folder))
        return places[-1]

    yield make
    for place in places:
        place.worker.close()


@pytest.fixture
def place(new_place: Callable[..., Workplace]) -> Workplace:
    return new_place()


@pytest.fixture
def client(place: Workplace) -> Iterator[TestClient]:
    with TestClient(create_app(place), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def scans(tmp_path: Path) -> list[Path]:
    """Three: the second has the pixels of the first in another place, the third has other pixels."""
    values = np.random.default_rng(4).integers(0, 200, SHAPE).astype(np.int16).transpose()
    elsewhere = affine(2)
    elsewhere[0, 3] += 10
    return [
        save_nifti(tmp_path / "one.nii.gz", values, affine(2)),
        save_nifti(tmp_path / "elsewhere.nii.gz", values, elsewhere),
        save_nifti(tmp_path / "other.nii.gz", values + 1, affine(2)),
    ]


def opened(client: TestClient, path: Path) -> str:
    upload = client.post("/api/uploads", json={"name": path.name, "files": 1}).json()["upload"]
    url = f"/api/uploads/{upload}/files/0?name={path.name}"
    assert client.put(url, content=path.read_bytes()).status_code == 204
    reply = client.post(f"/api/uploads/{upload}/open")
    assert reply.status_code == 201, reply.text
    return f"/api/studies/{reply.json()['study']}"


def wait_for_worker(place: Workplace) -> None:
    place.worker.submit("last", lambda: None).result(DEADLINE)


def test_the_same_image_is_opened_once(client: TestClient, scans: list[Path]) -> None:
    """What is drawn through one address and through the other is in one file: neither is lost."""
    first = opened(client, scans[0])
    client.post(f"{first}/prompts", json=BOX)
    again = opened(client, scans[0])
    assert again == first
    client.post(f"{again}/prompts", json={**BOX, "object": "b"})
    assert client.delete(first).status_code == 204
    objects = client.get(opened(client, scans[0])).json()["objects"]
    assert [item["key"] for item in objects] == ["a", "b"]


def test_equal_pixels_in_another_place_are_another_study(client: TestClient, scans: list[Path]) -> None:
    first, second = opened(client, scans[0]), opened(client, scans[1])
    assert first != second
    client.post(f"{first}/prompts", json=BOX)
    assert client.get(second).json()["objects"] == []
    client.post(f"{second}/prompts", json=BOX)
    saved = scans[0].with_name("saved.nii.gz")
    saved.write_bytes(client.get(f"{second}/export").content)
    np.testing.assert_allclose(io.read(saved).affine, io.read(scans[1]).affine)


def test_the_open_image_from_a_file_with_another_header(place: Workplace, scans: list[Path]) -> None:
    """A mask would be saved with the header of the file that was opened first."""
    image = io.read(scans[0])
    first = place.open_study(place.new_study(image, "a"))
    other = place.new_study(replace(image, source=NiftiSource(b"another")), "b")
    with pytest.raises(InvalidArgument, match="another header"):
        place.open_study(other)
    assert list(place.studies.values()) == [first]


def test_a_second_server_does_not_take_the_work(new_place: Callable[..., Workplace], scans: list[Path]) -> None:
    image = io.read(scans[0])
    first, second = new_place(), new_place()
    study = first.open_study(first.new_study(image, "a"))
    with pytest.raises(InvalidArgument, match="another server works with the same --save-folder"):
        second.open_study(second.new_study(image, "a"))
    assert not second.studies
    second.open_study(second.new_study(io.read(scans[2]), "other"))
    study.session.add_box("a", (4, 4, 19, 15), slice=1)
    study.close()
    assert [item.name for item in second.open_study(second.new_study(image, "a")).session.objects] == ["a"]


def test_a_folder_that_cannot_be_made_ends_the_start(new_place: Callable[..., Workplace], folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(InvalidArgument, match="--save-folder: got"):
        new_place()


@pytest.mark.needs("open removal")
def test_a_failed_save_is_told_and_the_study_stays_open(
    client: TestClient, place: Workplace, scans: list[Path], folder: Path
) -> None:
    base = opened(client, scans[0])
    assert client.get(base).json()["saved"] is True
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    assert client.post(f"{base}/prompts", json=BOX).status_code == 200
    wait_for_worker(place)
    assert client.get(f"{base}/masks").json()["saved"] is False
    refusal = client.delete(base)
    assert refusal.status_code == 400
    assert ": got" in refusal.json()["detail"]
    assert client.get(base).json()["objects"][0]["voxels"]
    folder.unlink()
    assert client.post(f"{base}/prompts", json={**BOX, "slice": 2}).status_code == 200
    wait_for_worker(place)
    assert client.get(base).json()["saved"] is True
    assert client.delete(base).status_code == 204
    assert client.get(opened(client, scans[0])).json()["objects"][0]["box"][2::3] == [1, 2]


def test_one_study_that_cannot_be_saved_takes_no_other_with_it(
    place: Workplace, scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (place.open_study(place.new_study(io.read(path), "a")) for path in (scans[0], scans[2]))
    for study in (first, second):
        study.session.add_box("a", (4, 4, 19, 15), slice=1)
    whole = Study.save

    def save(study: Study) -> None:
        if study is first:
            raise OSError(5, "Input/output error")
        whole(study)

    monkeypatch.setattr(Study, "save", save)
    asyncio.run(place.end())
    assert first.file is not None
    assert second.file is not None
    assert second.file.is_file()
    assert not first.file.exists()


def test_nothing_is_drawn_on_a_study_that_was_closed(place: Workplace, scans: list[Path]) -> None:
    """A step that waited while the study was closed would be drawn on a session that nobody saves."""
    study = place.open_study(place.new_study(io.read(scans[0]), "a"))
    study.session.add_box("a", (4, 4, 19, 15), slice=1)
    study.close()
    with pytest.raises(InvalidArgument, match="closed"):
        _ = study.session


def test_a_study_that_cannot_begin_leaves_nothing(
    client: TestClient, place: Workplace, scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot, its file and its claim are free, and the next attempt finds all as it was."""
    prepare = Study.prepare
    failed: list[weakref.ref[Study]] = []

    def fail(study: Study) -> None:
        failed.append(weakref.ref(study))
        raise InvalidArgument("window: got a test, expected none")

    monkeypatch.setattr(Study, "prepare", fail)
    upload = client.post("/api/uploads", json={"name": "x.nii.gz", "files": 1}).json()["upload"]
    client.put(f"/api/uploads/{upload}/files/0?name=x.nii.gz", content=scans[0].read_bytes())
    assert client.post(f"/api/uploads/{upload}/open").status_code == 400
    assert not place.studies
    wait_for_worker(place)
    gc.collect()
    assert failed[0]() is None  # nor its voxels
    monkeypatch.setattr(Study, "prepare", prepare)
    assert client.get(opened(client, scans[0])).json()["objects"] == []


def test_no_slot_is_known_before_the_image_is_read(
    new_place: Callable[..., Workplace], scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = new_place(studies=1)
    with TestClient(create_app(place), base_url="http://127.0.0.1") as client:
        opened(client, scans[0])
        read = threading.Event()
        monkeypatch.setattr(io, "read", lambda *_args, **_options: read.set())
        upload = client.post("/api/uploads", json={"name": "x.nii.gz", "files": 1}).json()["upload"]
        client.put(f"/api/uploads/{upload}/files/0?name=x.nii.gz", content=scans[2].read_bytes())
        reply = client.post(f"/api/uploads/{upload}/open")
    assert "fewer than 1" in reply.json()["detail"]
    assert not read.is_set()
