# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Drawing while something else goes on: a prompt is of the slice and the object that it was begun on; work is saved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_builder import save as save_nifti
from page_driver import PageDriver
from selenium.webdriver.common.keys import Keys

SHAPE = (5, 48, 64)  # z, y, x


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Of a bright block in all slices."""
    values = np.full(SHAPE, -60, np.int16)
    values[:, 12:29, 14:33] = 180
    values += np.random.default_rng(5).integers(0, 20, SHAPE).astype(np.int16)
    path: Path = save_nifti(tmp_path / "scan.nii.gz", values.transpose(), np.diag([-1, -1, 2, 1]))
    return path


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, scan: Path) -> PageDriver:
    """Shows the scan."""
    return PageDriver(chromium, address, *upload(scan))


def test_a_drag_belongs_to_the_slice_in_which_it_was_begun(page: PageDriver) -> None:
    """Page Down on the way scrolls; the prompt is of the first slice, which is shown again. Box and brush."""
    for tool, index in (("b", 3), ("d", 2)):
        page.keys("m")
        page.keys(tool)
        page.slice(0, index)
        page.after(lambda: page.drag(0, (12, 10), (34, 30), Keys.PAGE_DOWN))
        assert page.value("window.medsamPage.view.place[2]") == index
    boxes = page.value("window.medsamPage.view.objects.map(({ box }) => box)")
    assert [(box[2], box[5]) for box in boxes] == [(3, 3), (2, 2)]
    assert page.errors() == []


def test_the_next_object_while_the_first_one_is_on_its_way(page: PageDriver) -> None:
    """It is another one, although the server has not answered yet."""
    page.hold("/prompts")
    page.slice(0, 1)
    page.drag(0, (12, 10), (34, 30))
    page.until("window.held.length === 1")
    page.keys("m")
    page.keys("d")
    page.drag(0, (50, 40), (54, 40))
    page.release()
    page.until("window.medsamPage.view.revision === 2 && !window.medsamPage.steps")
    assert page.value("window.medsamPage.view.objects.map(({ key }) => key)") == ["object 1", "object 2"]
    assert page.value("window.medsamPage.view.current") == "object 2"


def test_work_that_is_not_saved(serve: Any, chromium: Any, scan: Path, tmp_path: Path) -> None:
    """The page says so for as long as it is so, and the study is not closed."""
    page = PageDriver(chromium, serve(scan))
    study = page.studies()[0]
    assert page.value("document.getElementById('unsaved').hidden")
    shutil.rmtree(tmp_path / "saved", ignore_errors=True)
    (tmp_path / "saved").write_text("no folder")
    page.slice(0, 1)
    page.after(lambda: page.drag(0, (12, 10), (34, 30)))
    page.until("!document.getElementById('unsaved').hidden")
    page.browser.execute_script("window.confirm = () => true; document.getElementById('close').click()")
    page.until("document.querySelector('#messages .error')")
    assert page.studies() == [study]
    assert page.value("window.medsamPage.view.study.id") == study
    (tmp_path / "saved").unlink()
    page.after(page.undo)
    page.until("document.getElementById('unsaved').hidden")
    page.errors()  # the refused request
