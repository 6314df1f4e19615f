# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Each tool of the page on an object that is known, locks, and undo and redo of many steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_scan import BLOCK, block, save_block
from numpy.typing import NDArray
from page_driver import PageDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

SLICE = 4
X0, Y0, _, X1, Y1, _ = BLOCK
VOXELS = "window.medsamPage.view.objects.map(({ voxels }) => voxels)"


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, tmp_path: Path) -> PageDriver:
    """In the middle of the block."""
    made = PageDriver(chromium, address, *upload(save_block(tmp_path)))
    made.slice(0, SLICE)
    return made


def mask(page: PageDriver, key: str, index: int = SLICE) -> NDArray[np.bool_]:
    """An object in a slice, as the page shows it."""
    pixels = page.value(f"Array.from(window.medsamPage.view.masks.plane('{key}', 0, {index}) ?? [])")
    return np.array(pixels, np.bool_).reshape(-1, block().shape[2])


def box_on_block(page: PageDriver) -> None:
    page.after(lambda: page.drag(0, (X0 - 2, Y0 - 2), (X1 + 2, Y1 + 2)))


def test_scribble(page: PageDriver) -> None:
    """On the object it finds the object; one of the other sign takes something away."""
    page.keys("s")
    page.after(lambda: page.draw(0, [(X0 + 6, Y0 + 6), (50, 37), (X1 - 6, Y1 - 6)]))
    found, truth = mask(page, "object 1"), block()[SLICE]
    assert (found & truth).sum() > 0.5 * truth.sum()
    assert (found & ~truth).sum() < 0.2 * truth.sum()
    assert page.value("window.medsamPage.view.objects[0].prompts") == 1
    page.keys("t")
    page.after(lambda: page.draw(0, [(X0 + 2, Y1 - 2), (X0 + 8, Y1 - 2), (X0 + 14, Y1 - 2)]))
    page.keys("t")
    assert mask(page, "object 1").sum() < found.sum()
    assert page.errors() == []


def test_lasso(page: PageDriver) -> None:
    """The mask stays inside of what was drawn."""
    page.keys("l")
    outline = [(X0 + 4, Y0 + 3), (X1 - 5, Y0 + 3), (X1 - 5, Y1 - 4), (50, Y1 - 12), (X0 + 4, Y1 - 4)]
    page.after(lambda: page.draw(0, outline))
    found = mask(page, "object 1")
    assert found[:, X0 + 4 : X1 - 4].any()
    assert not found[:, : X0 + 2].any()
    assert not found[:, X1 - 2 :].any()
    assert not found[: Y0 + 1].any()
    assert page.errors() == []


def test_brush_and_eraser(page: PageDriver) -> None:
    """The voxels within the brush's radius of the line; the eraser takes them, of the slice that is shown."""
    page.keys("d")
    page.keys("[")
    radius = page.value("window.medsamPage.radius")
    assert radius == 5
    page.after(lambda: page.draw(0, [(20, 15), (40, 15), (60, 15)]))
    y, x = np.mgrid[: block().shape[1], : block().shape[2]]
    distance = np.hypot(x - np.clip(x, 20, 60), y - 15)
    painted = mask(page, "object 1")
    assert painted[distance <= radius - 1].all()
    assert not painted[distance > radius + 1].any()
    page.keys("x")
    page.after(lambda: page.draw(0, [(40, 5), (40, 15), (40, 25)]))
    left = mask(page, "object 1")
    assert not left[10:21, 37:44].any()
    assert left[15, 25]
    assert left[15, 55]
    assert not (left & ~painted).any()
    page.keys("d")
    page.after(lambda: page.draw(0, [(40, 15), (40.4, 15)]))  # no longer than a click
    assert mask(page, "object 1")[15, 40]
    assert page.errors() == []


def test_escape_gives_up_what_is_being_drawn(page: PageDriver) -> None:
    for tool in ("b", "s", "l", "d"):
        page.keys(tool)
        page.drag(0, (20, 20), (50, 50), Keys.ESCAPE)
        assert page.value("window.medsamPage.planes.every(({ sketch }) => sketch === null)")
    assert page.value("[window.medsamPage.view.steps, window.medsamPage.view.revision]") == [0, 0]


def test_a_locked_object(page: PageDriver) -> None:
    """It keeps its voxels from others, and takes no prompt."""
    box_on_block(page)
    first = mask(page, "object 1")
    lock = "[aria-label='Lock object 1']"
    page.after(page.browser.find_element(By.CSS_SELECTOR, lock).click)
    assert page.browser.find_element(By.CSS_SELECTOR, lock).get_attribute("aria-pressed") == "true"
    page.keys("m")
    page.keys("d")
    page.after(lambda: page.draw(0, [(X0 - 8, 37), (50, 37), (X1 + 8, 37)]))
    second = mask(page, "object 2")
    assert second.any()
    assert not (first & second).any()
    page.browser.find_element(By.CSS_SELECTOR, "#objects li small").click()  # the first one again
    assert page.value("window.medsamPage.view.current") == "object 1"
    page.keys("x")
    page.draw(0, [(X0, 37), (50, 37), (X1, 37)])
    page.until("document.querySelector('#messages .error')?.textContent.includes('locked')")
    np.testing.assert_array_equal(mask(page, "object 1"), first)
    assert page.value("window.medsamPage.view.objects[0].locked")
    page.errors()  # the refused request


def test_undo_and_redo_of_many_steps(page: PageDriver) -> None:
    """Back to nothing and forth again; a new step ends what could be done again."""
    standings: list[list[int]] = [[]]
    for index in (3, 4, 5):
        page.slice(0, index)
        box_on_block(page)
        standings.append(page.value(VOXELS))
    page.keys("m")
    page.keys("d")
    page.after(lambda: page.draw(0, [(10, 10), (15, 10), (20, 10)]))
    standings.append(page.value(VOXELS))
    assert len({tuple(standing) for standing in standings}) == 5
    for standing in reversed(standings[:-1]):
        page.after(page.undo)
        assert page.value(VOXELS) == standing
    again = ((Keys.CONTROL, "y"), (Keys.CONTROL, Keys.SHIFT, "z"))
    for number, standing in enumerate(standings[1:]):
        keys = again[number % 2]
        page.after(lambda keys=keys: page.press(*keys))
        assert page.value(VOXELS) == standing
    page.after(page.undo)
    page.after(lambda: page.draw(0, [(10, 70), (15, 70), (20, 70)]))
    last = page.value(VOXELS)
    page.after(lambda: page.press(Keys.CONTROL, "y"))
    assert page.value(VOXELS) == last
    study = page.value("window.medsamPage.view.study.id")
    assert [item["voxels"] for item in page.api(f"/api/studies/{study}")["objects"]] == last
    assert page.errors() == []


def test_names_and_colors(page: PageDriver) -> None:
    box_on_block(page)
    name = page.browser.find_element(By.CSS_SELECTOR, "#objects input[type=text]")
    name.click()
    page.press(Keys.CONTROL, "a")
    page.after(lambda: page.browser.switch_to.active_element.send_keys("left kidney", Keys.ENTER))
    page.browser.execute_script(
        "const input = document.querySelector('#objects input[type=color]'); input.value = '#12ab34';"
        "input.dispatchEvent(new Event('change'));"
    )
    page.until("window.medsamPage.view.objects[0].color === '#12ab34'")
    study = page.value("window.medsamPage.view.study.id")
    (item,) = page.api(f"/api/studies/{study}")["objects"]
    assert (item["name"], item["color"]) == ("left kidney", "#12ab34")
    small = page.browser.find_element(By.CSS_SELECTOR, "#objects small").text
    assert small == f"{item['voxels'] * 2 / 1000:.2f} ml"  # 1 x 1 x 2 mm
