# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The page in a browser: open, draw, scroll, undo, save, reload, resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ball_scan import BALL, KINDS, SHAPE, affine, ball, dice
from dicom_builder import straight, write_series
from nifti_builder import save as save_nifti
from page_driver import PageDriver, ask
from PIL import Image

from medsam_engine import io


@pytest.fixture(scope="module")
def oriented(upload_all: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """A scan of each kind, and the id of its study."""
    folder = tmp_path_factory.mktemp("scans")
    scans = {}
    for number, kind in enumerate(KINDS):  # a value of its own, so that no two scans are the same study
        values = ball()
        values[0, 0, 0] = number
        scans[kind] = save_nifti(folder / f"{kind}.nii.gz", values.transpose(), affine(kind))
    return dict(zip(scans, zip(scans.values(), upload_all(*scans.values()), strict=True), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_voxels_of_the_saved_file(kind: str, oriented: Any, address: str, chromium: Any) -> None:
    """A box that is drawn on the screen round a known object comes back as that object's voxels in the file."""
    scan, study = oriented[kind]
    page = PageDriver(chromium, address, study)
    assert page.value("window.medsamPage.view.study.name") == scan.name
    x0, y0, _, x1, y1, _ = BALL
    page.slice(0, 2)
    page.after(lambda: page.drag(0, (x1 + 2, y0 - 2), (x0 - 2, y1 + 2)))
    saved: Any = io.read_labels(page.save("nifti", chromium.downloads))[0]
    source = io.read(scan)
    truth = np.asarray(source.array, np.int16) > 60
    assert dice(saved[2] > 0, truth[2]) > 0.9
    assert not (saved > 0)[[0, 1, 3, 4, 5, 6]].any()
    np.testing.assert_allclose(io.read(next(chromium.downloads.iterdir())).affine, source.affine, atol=1e-5)
    assert page.errors() == []


def test_a_session_of_work(serve: Any, chromium: Any, tmp_path: Path) -> None:
    """NIfTI: box, correction, scroll, another plane, propagation, undo, brush; after SIGKILL it is all there."""
    scan = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS"))
    page = PageDriver(chromium, serve(scan))
    x0, y0, _z0, x1, y1, _z1 = BALL
    page.slice(0, 2)
    page.after(lambda: page.drag(0, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2)))
    page.after(lambda: page.click(0, (x0 + 1, y0 + 1), negative=True))
    page.after(lambda: page.keys("g"))
    objects = page.value("window.medsamPage.view.objects")
    assert len(objects) == 1
    assert objects[0]["box"][2] < 2 < objects[0]["box"][5]
    before = objects[0]["voxels"]
    page.after(page.undo)
    assert page.value("window.medsamPage.view.objects[0].voxels") < before
    page.keys("m")
    page.keys("d")
    page.slice(1, 60)
    page.after(lambda: page.drag(1, (20, 2), (40, 4)))
    objects = page.value("window.medsamPage.view.objects")
    assert [item["key"] for item in objects] == ["object 1", "object 2"]
    assert objects[1]["box"][1] == objects[1]["box"][4] == 60  # the brush stays in its plane
    page.until("document.getElementById('encoding').value === document.getElementById('encoding').max")
    page.after(lambda: page.drag(1, (60, 2), (62, 4)))
    study = page.value("window.medsamPage.view.study.id")
    voxels = [item["voxels"] for item in page.api(f"/api/studies/{study}")["objects"]]
    assert voxels == [item["voxels"] for item in page.value("window.medsamPage.view.objects")]
    saved = list((tmp_path / "saved").glob("*.session"))
    assert saved
    serve.kill()
    page = PageDriver(chromium, serve(scan))
    assert [item["voxels"] for item in page.value("window.medsamPage.view.objects")] == voxels
    page.errors()  # the killed server's stream


def test_a_preview_under_the_pointer(address: str, upload: Any, chromium: Any, tmp_path: Path) -> None:
    """It is what the click then finds, makes no step, and goes when the pointer leaves."""
    scan = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS"))
    page = PageDriver(chromium, address, *upload(scan))
    page.until("document.getElementById('encoding').value === document.getElementById('encoding').max")
    page.slice(0, 3)
    x0, y0, _z0, x1, y1, _z1 = BALL
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    page.hover(0, middle)
    shown = "window.medsamPage.planes.find((one) => one.axis === 0).preview"
    page.until(f"{shown} && {shown}.index === 3 && !window.medsamPage.preview.asking")
    assert page.revision() == 0
    pixels = page.value(f"Array.from({shown}.mask)")
    assert sum(pixels) > 100
    page.after(lambda: page.click(0, middle))
    assert page.value(f"{shown} === null")
    mask = "window.medsamPage.view.masks.plane('object 1', 0, 3)"
    assert page.value(f"Array.from({mask})") == pixels
    page.hold("/preview")
    page.slice(0, 2)
    page.hover(0, (middle[0] + 1, middle[1]))
    page.until("window.held.length === 1")
    page.leave()
    page.release()
    page.until("!window.medsamPage.preview.asking")
    assert page.value(f"{shown} === null")
    assert page.errors() == []


def test_dicom_folder(address: str, upload: Any, chromium: Any, tmp_path: Path) -> None:
    """A series, and its mask as a DICOM SEG."""
    write_series(tmp_path / "series", ball(np.int16), straight(SHAPE[0], 2.0))
    page = PageDriver(chromium, address, *upload(tmp_path / "series"))
    x0, y0, _, x1, y1, _ = BALL
    page.slice(0, 2)
    page.after(lambda: page.drag(0, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2)))
    file = page.save("dicomseg", chromium.downloads)
    import pydicom

    assert pydicom.dcmread(file).Modality == "SEG"
    assert page.errors() == []


@pytest.mark.usefixtures("upload")  # closes what the page opens
def test_color_picture_that_is_uploaded(address: str, chromium: Any, tmp_path: Path) -> None:
    """A PNG through the page's own file input; its mask as PNG."""
    gray = ball(np.int16)[2]
    pixels = np.stack([np.clip(gray, 0, 255), np.full(gray.shape, 40), np.full(gray.shape, 90)], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    page = PageDriver(chromium, address)
    chromium.find_element("id", "files").send_keys(str(tmp_path / "photo.png"))
    page.until(
        "window.medsamPage.view && window.medsamPage.view.picture.color && window.medsamPage.view.revision === 0"
    )
    x0, y0, _, x1, y1, _ = BALL
    page.after(lambda: page.drag(0, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2)))
    saved = np.asarray(Image.open(page.save("png", chromium.downloads)))
    assert dice(saved > 0, gray > 60) > 0.9
    assert page.errors() == []


def test_what_another_page_draws(address: str, upload: Any, chromium: Any, tmp_path: Path) -> None:
    """A step that did not come from this page appears on it."""
    scan = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS"))
    page = PageDriver(chromium, address, *upload(scan))
    study = page.value("window.medsamPage.view.study.id")
    body = {"kind": "paint", "object": "theirs", "box": [1, 2, 3, 4, 2, 3], "runs": [0, 4]}
    ask(f"{page.address}/api/studies/{study}/prompts", "POST", json.dumps(body).encode())
    page.until("window.medsamPage.view.masks.at('theirs', 4, 2, 3) === 1")
    assert page.value("window.medsamPage.view.objects.map(({ key }) => key)") == ["theirs"]
