# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Two open studies: what is drawn and saved belongs to the one that is shown, whatever is loading or has failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nifti_builder import save as save_nifti
from page_driver import PageDriver
from selenium.webdriver.common.by import By

from medsam_engine import io

SHAPE = (3, 48, 64)  # z, y, x
BOX = (12, 10), (34, 30)
SHOWN = "window.medsamPage.view.study.id"


def scan(path: Path, step: float) -> Path:
    """A bright block; `step` mm tells the studies apart."""
    values = np.full(SHAPE, -60, np.int16)
    values[:, 12:29, 14:33] = 180
    values += np.random.default_rng(5).integers(0, 20, SHAPE).astype(np.int16)
    saved: Path = save_nifti(path, values.transpose(), np.diag([-step, -step, 2.0, 1.0]))
    return saved


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, tmp_path: Path) -> PageDriver:
    """Two studies are open, and the first one is shown."""
    first, _ = upload(scan(tmp_path / "one.nii.gz", 1.0), scan(tmp_path / "two.nii.gz", 0.5))
    return PageDriver(chromium, address, first)


def draw(page: PageDriver) -> None:
    """A box, and waits for its mask."""
    page.slice(0, 1)
    page.after(lambda: page.drag(0, *BOX))


def test_drawing_while_another_study_loads(page: PageDriver) -> None:
    """It goes to the study that is shown; the other one is shown when it is here, and is empty."""
    first, second = page.studies()
    page.hold(f"/studies/{second}/volume")
    page.pick(second)
    page.until("window.held.length === 1")
    assert page.value(SHOWN) == first
    draw(page)
    assert page.objects(second) == []
    assert page.objects(first) == ["object 1"]
    assert page.value("document.getElementById('studies').value") == first
    page.after(page.undo)
    draw(page)
    page.release()
    page.until(f"{SHOWN} === '{second}' && window.medsamPage.view.revision === 0")
    assert page.value("window.medsamPage.view.objects") == []
    assert page.objects(first) == ["object 1"]
    assert page.errors() == []


def test_the_study_that_was_picked_last_is_shown(page: PageDriver) -> None:
    """One that was picked before, and comes later, is not; drawing goes to the one that is shown."""
    first, second = page.studies()
    page.hold(f"/studies/{second}/volume")
    page.browser.execute_script(
        "const page = window.medsamPage; window.settled = 0;"
        "for (const id of arguments) page.attempt(() => page.open(id)).then(() => window.settled++);",
        second,
        first,
    )
    page.until("window.held.length === 1 && window.settled === 1")
    page.release()
    page.until("window.settled === 2")
    assert page.value(SHOWN) == first
    draw(page)
    assert page.objects(second) == []
    assert page.objects(first) == ["object 1"]


def test_a_step_whose_reply_comes_when_another_study_is_shown(page: PageDriver) -> None:
    """It changes nothing there, and is on its own study when that is shown again."""
    first, second = page.studies()
    page.hold(f"/studies/{first}/prompts")
    page.slice(0, 1)
    page.drag(0, *BOX)
    page.until("window.held.length === 1")
    page.pick(second)
    page.until(f"{SHOWN} === '{second}' && window.medsamPage.view.revision === 0")
    page.release()
    page.until("window.asked === 0")
    assert page.value("window.medsamPage.view.objects") == []
    assert page.objects(second) == []
    page.pick(first)
    page.until(f"{SHOWN} === '{first}' && window.medsamPage.view.objects.length === 1")
    draw(page)
    assert page.revision() == 2


def test_work_after_another_study_could_not_be_opened(page: PageDriver, chromium: Any) -> None:
    """The one that is shown stays; drawing and saving are its own."""
    first, second = page.studies()
    page.fail(f"/studies/{second}/volume")
    page.pick(second)
    page.until("document.querySelector('#messages .error')")
    assert page.value(SHOWN) == first
    draw(page)
    assert page.objects(second) == []
    assert page.objects(first) == ["object 1"]
    assert page.value("document.getElementById('studies').value") == first
    saved = page.save("nifti", chromium.downloads)
    assert io.read(saved).spacing[0] == 1.0
    labels: Any = io.read_labels(saved)[0]
    assert labels[1, 20, 24] == 1


def test_close(page: PageDriver) -> None:
    """The study is closed on the server, with its work saved; the other one is shown, and then none."""
    _, second = page.studies()
    draw(page)
    page.browser.find_element(By.ID, "close").click()
    page.until(f"window.medsamPage.view && {SHOWN} === '{second}'")
    assert page.studies() == [second]
    page.browser.find_element(By.ID, "close").click()
    page.until("!window.medsamPage.view && document.getElementById('planes').children.length === 0")
    assert page.studies() == []
    assert page.value("document.querySelector('#messages .error')") is None
    page.keys("v")  # keys do no harm where nothing is shown
    page.keys("g")
    assert page.errors() == []
