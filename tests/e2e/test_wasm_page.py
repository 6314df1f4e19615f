# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The viewer as a static page, with the engine in WebAssembly: its masks and files beside the server's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ball_scan import BALL, KINDS, affine, ball, corners
from nifti_builder import save as save_nifti
from selenium.webdriver.common.keys import Keys
from static_page import NativeStudy, Site, StaticPage, check_saved, dsc

from medsam_engine import Engine, io
from medsam_engine.serve.api.bodies import ObjectChange, Propagate
from medsam_engine.windows import CT_PRESETS

# What the engine tells of the study from now on, in window.heard.
_WATCH = """
window.heard = [];
window.medsamPage.view.engine.events((name, value) => window.heard.push([name, value]));
"""
# Escape, as soon as the first plane is told of.
_STOP_AT_FIRST_PLANE = """
window.medsamPage.view.engine.events((name) => name === "grown" && window.medsamPage.giveUp());
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_in_a_volume(kind: str, site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """A box that is drawn on the screen round a known object comes back as the native engine's voxels in the file."""
    scan = save_nifti(tmp_path / f"{kind}.nii.gz", ball().transpose(), affine(kind))
    page = StaticPage(chromium, site.address)
    page.open(scan)
    page.slice(0, 2)
    page.after(lambda: page.drag(0, *corners()))
    study = NativeStudy(native, scan)
    described = study.opened.described()
    for field in ("shape", "type", "spacing", "affine", "window", "spaced"):
        assert page.value(f"window.medsamPage.view.study.{field}") == described[field], field
    study.draw(page.sent())
    check_saved(page, study, tmp_path, chromium.downloads)
    labels: Any = io.read_labels(next(chromium.downloads.iterdir()))[0]
    truth = np.asarray(study.image.array, np.int16) > 60
    assert dsc(labels[2] > 0, truth[2]) > 0.9
    assert not (labels > 0)[[0, 1, 3, 4, 5, 6]].any()
    assert page.errors() == []


def test_a_session_of_work(site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """Every tool, propagation, undo, names, lock and removal: after each step, what the server's own code has."""
    scan = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS"))
    page = StaticPage(chromium, site.address)
    page.open(scan)
    study = NativeStudy(native, scan)
    x0, y0 = BALL[:2]
    page.slice(0, 2)
    page.after(lambda: page.drag(0, *corners()))
    page.after(lambda: page.click(0, (x0 + 1, y0 + 1), negative=True))
    study.draw(page.sent())
    check_same(page, study)
    page.keys("4")
    width, level = CT_PRESETS["bone"]
    shown = page.value("[window.medsamPage.view.picture.low, window.medsamPage.view.picture.high]")
    assert shown == [level - width / 2, level + width / 2]

    page.browser.execute_script(_WATCH)
    page.after(lambda: page.keys("g"))
    study.opened.propagate(Propagate(object="object 1"))
    check_same(page, study)
    events = page.value("window.heard")
    assert {name for name, _ in events} >= {"grown", "propagation", "revision", "encoding", "saved"}
    assert events[-1][0] == "propagation" or ["propagation", None] in events
    page.after(page.undo)
    study.opened.step(lambda session: session.undo())
    check_same(page, study)
    page.after(lambda: page.press(Keys.CONTROL, "y"))
    study.opened.step(lambda session: session.redo())
    check_same(page, study)

    known = len(page.sent())
    page.keys("m", "l")
    page.after(lambda: page.draw(0, [(10, 10), (30, 10), (30, 30), (10, 30)]))
    page.keys("s")
    page.after(lambda: page.draw(0, [(12, 12), (20, 20), (26, 24)]))
    page.keys("m", "d")
    page.slice(1, 60)
    page.after(lambda: page.drag(1, (20, 2), (40, 4)))
    page.keys("x")
    page.after(lambda: page.drag(1, (20, 2), (26, 2)))
    assert [prompt["kind"] for prompt in page.sent()[known:]] == ["lasso", "scribble", "paint", "paint"]
    study.draw(page.sent()[known:])
    check_same(page, study)

    names = page.browser.find_elements("css selector", "#objects input[type=text]")
    page.after(lambda: names[1].send_keys(Keys.CONTROL, "a", Keys.NULL, "lung", Keys.TAB))
    page.after(lambda: page.browser.find_element("css selector", "[aria-label='Lock lung']").click())
    assert page.value("window.medsamPage.view.objects.map(({ name, locked }) => [name, locked])") == [
        ["object 1", False],
        ["lung", True],
        ["object 3", False],
    ]
    study.opened.change_object("object 2", ObjectChange(name="lung", locked=True))
    page.after(lambda: page.browser.find_element("css selector", "[aria-label='Delete object 1']").click())
    study.opened.step(lambda session: session.remove("object 1"))
    check_same(page, study)
    check_saved(page, study, tmp_path, chromium.downloads)
    assert page.refusals() == []
    assert page.errors() == []


def check_same(page: StaticPage, study: NativeStudy) -> None:
    """The page's objects and masks beside the server's."""
    wanted = study.opened.masks()
    shown = page.value("window.medsamPage.view.objects")
    for got, expected in zip(shown, wanted["objects"], strict=True):
        for field in ("key", "name", "color", "locked", "box", "prompts", "voxels"):
            expected_value = list(expected["box"]) if field == "box" and expected["box"] else expected[field]
            assert got[field] == expected_value, (got["key"], field)
        mask = study.opened.study.session.mask(got["key"])
        for axis in range(3):
            for index in range(mask.shape[axis]):
                plane = page.value(
                    f"window.medsamPage.view.masks.plane({got['key']!r}, {axis}, {index})?.join('') ?? ''"
                )
                pixels = np.take(mask, index, axis).astype(np.uint8)
                assert (np.frombuffer(plane.encode(), np.uint8) - 48).sum() == pixels.sum()
                if pixels.any():
                    assert plane == "".join(map(str, pixels.reshape(-1)))


def page_with_a_box(chromium: Any, site: Site, folder: Path) -> StaticPage:
    """A volume with a known object, round which a box is drawn."""
    page = StaticPage(chromium, site.address)
    page.open(save_nifti(folder / "scan.nii.gz", ball().transpose(), affine("LPS")))
    page.slice(0, 2)
    page.after(lambda: page.drag(0, *corners()))
    return page


def test_a_propagation_that_is_stopped(site: Site, chromium: Any, tmp_path: Path) -> None:
    """Escape reaches the worker while it computes: planes that were reached stay, as one step."""
    page = page_with_a_box(chromium, site, tmp_path)
    before = page.value("window.medsamPage.view.objects[0].voxels")
    page.browser.execute_script(_STOP_AT_FIRST_PLANE)
    page.after(lambda: page.keys("g"))
    said = page.value("Array.from(document.querySelectorAll('#messages p'), (line) => line.textContent)")
    found = re.search(r"Stopped after (\d) of (\d) slices. They are kept", " ".join(said))
    assert found is not None, said
    assert 1 <= int(found[1]) < int(found[2])
    assert page.value("window.medsamPage.view.objects[0].voxels") > before
    page.after(page.undo)
    assert page.value("window.medsamPage.view.objects[0].voxels") == before
    assert page.errors() == []


def test_a_preview_is_what_a_click_finds(site: Site, chromium: Any, tmp_path: Path) -> None:
    """Of a plane that is encoded, and no step."""
    page = page_with_a_box(chromium, site, tmp_path)
    page.keys("m")
    x0, y0, _, x1, y1, _ = BALL
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    page.hover(0, middle)
    shown = "window.medsamPage.planes.find((one) => one.axis === 0).preview"
    page.until(f"{shown} && !window.medsamPage.preview.asking")
    pixels = page.value(f"Array.from({shown}.mask)")
    assert sum(pixels) > 100
    page.after(lambda: page.click(0, middle))
    assert page.value("Array.from(window.medsamPage.view.masks.plane('object 2', 0, 2))") == pixels


def test_what_this_page_has_not(site: Site, chromium: Any, tmp_path: Path) -> None:
    """It is hidden, or one sentence says so; what is open stays."""
    page = StaticPage(chromium, site.address)
    assert not page.browser.find_element("id", "sample").is_displayed()
    assert "stays on this machine" in page.browser.find_element("id", "notice").text
    flat = save_nifti(tmp_path / "flat.nii.gz", ball().transpose(), affine("LPS"))
    page.open(flat)
    assert page.value("Array.from(document.getElementById('format').options, ({ value }) => value)") == ["nifti"]
    save_nifti(tmp_path / "several.nii", np.zeros((4, 5, 6, 2), np.int16), affine("RAS"))
    cut = tmp_path / "cut.nii"
    cut.write_bytes(save_nifti(tmp_path / "whole.nii", ball().transpose(), affine("RAS")).read_bytes()[:-1])
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(flat.read_bytes()[:-200])
    shear = np.eye(4)
    shear[0, 1] = 0.2
    save_nifti(tmp_path / "sheared.nii", ball().transpose(), shear)
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, words in (
        ("several.nii", "2 volumes"),
        ("cut.nii", "cut off"),
        ("damaged.nii.gz", "compressed data is damaged"),
        ("sheared.nii", "off a right angle"),
        ("scan.nrrd", "medsam-engine serve reads it"),
        ("notes.txt", "none of these"),
        ("broken.png", "expected a readable file"),
    ):
        assert words in page.refused(tmp_path / name), name
    assert page.value("window.medsamPage.view.study.name") == "flat.nii.gz"
    page.after(lambda: page.drag(0, *corners()))
    assert page.errors() == []
