# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Work without a mouse, and what a screen reader is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from block_scan import BLOCK, SHAPE, save_block
from page_driver import PageDriver
from selenium.webdriver.common.keys import Keys

FOCUS = "document.activeElement"
PLACE = "window.medsamPage.view.place"


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, tmp_path: Path) -> PageDriver:
    made = PageDriver(chromium, address, *upload(save_block(tmp_path)))
    made.leave()
    return made


def tab_to(page: PageDriver, what: str) -> None:
    """Presses Tab until an element has the focus."""
    for _ in range(80):
        if page.value(f"{FOCUS}.matches({what!r})"):
            return
        page.press(Keys.TAB)
    raise AssertionError(f"Tab does not reach {what}")


def test_draw_correct_undo_fill_and_save(page: PageDriver, chromium: Any) -> None:
    tab_to(page, "canvas[data-axis='0']")
    outline = page.value(f"getComputedStyle({FOCUS}).outlineStyle")
    assert outline == "solid"  # who has the focus can be seen
    x, y, z = page.value(PLACE)
    for key, to in (
        (Keys.ARROW_RIGHT, [x + 1, y, z]),
        (Keys.ARROW_DOWN, [x + 1, y + 1, z]),
        (Keys.ARROW_LEFT, [x, y + 1, z]),
        (Keys.ARROW_UP, [x, y, z]),
        (Keys.PAGE_DOWN, [x, y, z - 1]),
        (Keys.PAGE_UP, [x, y, z]),
    ):
        page.press(key)
        assert page.value(PLACE) == to
    page.after(lambda: page.press(Keys.ENTER))
    found = page.value("window.medsamPage.view.objects[0].voxels")
    assert found > 100
    for _ in range(BLOCK[3] - x - 4):
        page.press(Keys.ARROW_RIGHT)
    page.after(lambda: page.press(Keys.SHIFT, Keys.ENTER))
    assert page.value("window.medsamPage.view.objects[0].voxels") < found
    page.after(page.undo)
    assert page.value("window.medsamPage.view.objects[0].voxels") == found
    page.after(lambda: page.press("g"))
    box = page.value("window.medsamPage.view.objects[0].box")
    assert box[2] < z < box[5]
    page.press("m")
    page.after(lambda: page.press(Keys.ENTER))
    assert page.value("window.medsamPage.view.objects.length") == 2
    page.after(lambda: page.press("r"))
    assert page.value("window.medsamPage.view.objects.length") == 1
    for old in chromium.downloads.iterdir():
        old.unlink()
    tab_to(page, "#save")
    page.press(Keys.ENTER)
    page.until("[...document.querySelectorAll('#messages p')].some((one) => one.textContent.startsWith('Saved as'))")
    assert page.errors() == []


def test_keys_of_tools_and_help(page: PageDriver) -> None:
    for key, tool in (("s", "scribble"), ("l", "lasso"), ("d", "brush"), ("x", "eraser"), ("n", "move"), ("p", "box")):
        page.press(key)
        pressed = page.value(
            "[...document.querySelectorAll('#tools [aria-pressed=true]')].map((one) => one.dataset.tool)"
        )
        assert pressed == [tool]
    page.press("?")
    assert not page.value("document.getElementById('help').hidden")
    assert page.value("document.getElementById('help-button').getAttribute('aria-expanded')") == "true"
    page.press(Keys.ESCAPE)
    assert page.value("document.getElementById('help').hidden")


def test_keys_are_text_where_text_is_typed(page: PageDriver) -> None:
    """A name with the letters of all tools changes no tool and removes no object."""
    tab_to(page, "canvas[data-axis='0']")
    page.after(lambda: page.press(Keys.ENTER))
    tab_to(page, "#objects input[type=text]")
    page.press(Keys.CONTROL, "a")
    for letter in "drgmx":
        page.press(letter)
    page.after(lambda: page.press(Keys.ENTER))
    assert page.value("window.medsamPage.view.objects.map(({ name }) => name)") == ["drgmx"]
    assert page.value("window.medsamPage.tool") == "box"


def test_everything_has_a_name(page: PageDriver) -> None:
    """Of a canvas, the plane and its slice; of buttons and inputs, their text or label."""
    tab_to(page, "canvas[data-axis='0']")
    page.after(lambda: page.press(Keys.ENTER))
    name = "(one.getAttribute('aria-label') || one.textContent || one.labels?.[0]?.textContent || '').trim()"
    shown = "[...document.querySelectorAll('button, select, canvas, input')].filter((one) => one.offsetParent)"
    nameless = page.value(f"{shown}.filter((one) => !{name}).map((one) => one.outerHTML)")
    assert nameless == []
    labels = page.value("window.medsamPage.planes.map(({ canvas }) => canvas.getAttribute('aria-label'))")
    assert labels[0].startswith(f"axial plane, slice {SHAPE[0] // 2 + 1}.")
