# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What changes how an image is seen, and nothing else: windows, wheel, zoom, masks on and off; and a narrow screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from block_scan import BLOCK, SHAPE, save_block
from page_driver import PageDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

WINDOW = "[window.medsamPage.view.picture.low, window.medsamPage.view.picture.high]"
# The mean of what a plane's canvas shows, once it has been drawn.
SEEN = """
const done = arguments[0];
requestAnimationFrame(() => requestAnimationFrame(() => {
  const canvas = window.medsamPage.planes.find((one) => one.axis === 0).canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  done(data.reduce((sum, value) => sum + value, 0) / data.length);
}));
"""


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, tmp_path: Path) -> PageDriver:
    return PageDriver(chromium, address, *upload(save_block(tmp_path)))


def seen(page: PageDriver) -> float:
    return float(page.browser.execute_async_script(SEEN))


def test_window_presets(page: PageDriver) -> None:
    """By key and by the list; the canvas shows them, and 6 is the window with which the page began."""
    first, before = page.value(WINDOW), seen(page)
    windows = page.api("/api/state")["windows"]
    for key, name in zip("12345", ("abdomen", "lung", "brain", "bone", "mediastinum"), strict=True):
        page.keys(key)
        level, width = windows[name]["level"], windows[name]["width"]
        assert page.value(WINDOW) == [level - width / 2, level + width / 2]
        assert page.value("document.getElementById('window').value") == name
    Select(page.browser.find_element(By.ID, "window")).select_by_value("lung")
    assert page.value(WINDOW) == [-1350, 150]
    assert abs(seen(page) - before) > 5
    page.keys("6")
    assert page.value(WINDOW) == first
    assert seen(page) == pytest.approx(before, abs=0.01)
    assert page.revision() == 0


@pytest.mark.parametrize("key", [None, "w"], ids=["right button", "W and left button"])
def test_a_drag_changes_the_window(page: PageDriver, key: str | None) -> None:
    """To the right wider, down darker or brighter: the level moves; nothing is drawn."""
    low, high = page.value(WINDOW)
    page.drag_window(0, (60, 0), key=key)
    wide_low, wide_high = page.value(WINDOW)
    assert wide_high - wide_low > 1.1 * (high - low)
    assert (wide_low + wide_high) / 2 == pytest.approx((low + high) / 2)
    page.drag_window(0, (0, 40), key=key)
    moved_low, moved_high = page.value(WINDOW)
    assert moved_high - moved_low == pytest.approx(wide_high - wide_low)
    assert moved_low > wide_low
    assert page.value("[window.medsamPage.view.steps, window.medsamPage.view.revision]") == [0, 0]


def test_the_wheel(page: PageDriver) -> None:
    """One slice per notch, to the ends and not beyond, also while the server is at work; with Ctrl it zooms."""
    place = "window.medsamPage.view.place[2]"
    middle = SHAPE[0] // 2
    page.wheel(0, 2)
    assert page.value(place) == middle + 2
    page.wheel(0, -3)
    assert page.value(place) == middle - 1
    page.wheel(0, SHAPE[0])
    assert page.value(place) == SHAPE[0] - 1
    page.slice(0, 3)
    page.hold("/prompts")
    page.drag(0, (28, 18), (71, 56))
    page.until("window.held.length === 1")
    page.wheel(0, 1)
    assert page.value(place) == 4
    page.release()
    page.until("window.medsamPage.view.revision === 1 && !window.medsamPage.steps")
    box = page.value("window.medsamPage.view.objects[0].box")
    assert (box[2], box[5]) == (3, 3)
    zoom = "window.medsamPage.planes.find((one) => one.axis === 0).zoom"
    page.wheel(0, -2, key=Keys.CONTROL)
    assert page.value(zoom) == pytest.approx(1.15**2)
    assert page.value(place) == 4
    page.keys("f")
    assert page.value(zoom) == 1


def test_masks_hidden_and_outlined(page: PageDriver) -> None:
    page.slice(0, 4)
    without = seen(page)
    page.after(lambda: page.drag(0, (28, 18), (71, 56)))
    page.leave()
    filled = seen(page)
    assert abs(filled - without) > 0.5
    page.keys("o")
    outlined = seen(page)
    assert abs(outlined - without) < abs(filled - without) / 2
    page.keys("o")
    page.keys("v")
    hidden = seen(page)
    assert abs(hidden - without) < abs(filled - without) / 10  # the crosshair has moved
    page.keys("v")
    page.browser.find_element(By.CSS_SELECTOR, "[aria-label='Hide object 1']").click()
    assert seen(page) == pytest.approx(hidden, abs=0.01)


@pytest.fixture
def phone(chromium: Any) -> Iterator[None]:
    """A screen of 390 x 844 pixels."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.usefixtures("phone")
def test_a_narrow_screen(page: PageDriver) -> None:
    """Nothing sticks out to the side, all that can be pressed is there, and a box can be drawn."""
    assert page.value("window.innerWidth") == 390
    assert page.value("document.scrollingElement.scrollWidth") <= 390
    beyond = page.value(
        "[...document.querySelectorAll('button, select, input, canvas')].filter((one) => one.offsetParent)"
        ".filter((one) => one.getBoundingClientRect().right > 390 || one.getBoundingClientRect().width < 12)"
        ".map((one) => one.id || one.textContent)"
    )
    assert beyond == []
    assert page.value("window.medsamPage.planes[0].canvas.clientWidth") > 350  # the axial one, above the others
    page.slice(0, 4)
    x0, y0, _, x1, y1, _ = BLOCK
    page.after(lambda: page.drag(0, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2)))
    assert page.value("window.medsamPage.view.objects[0].voxels") > 0.8 * (x1 + 1 - x0) * (y1 + 1 - y0)
    save = page.browser.find_element(By.ID, "save")
    page.browser.execute_script("arguments[0].scrollIntoView()", save)
    assert save.is_displayed()
