# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""README's animation: a person's work on the page, frame by frame; `make animation` keeps it in docs/images.

The scan is synthetic, and the masks are the model's.
"""

from __future__ import annotations

import io as memory
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from abdomen_scan import KIDNEY, LIVER, SHAPE, SLICE, abdomen, dice, ellipsoid
from nifti_builder import save as save_nifti
from page_driver import PageDriver
from PIL import Image, ImageDraw
from selenium.webdriver.common.action_chains import ActionChains

MOST_BYTES = 400_000
# Planes wait for growSome, and the step's reply for letTake.
HOLD = """
const { view } = window.medsamPage, grow = view.grow.bind(view), take = view.take.bind(view);
const may = new Promise((go) => { window.letTake = go; });
window.planes = [];
view.grow = (told) => window.planes.push(told);
view.take = async (reply) => { await may; return take(reply); };
window.growSome = (count) => {
  for (const told of window.planes.splice(0, count)) grow(told);
  window.medsamPage.redraw();
};
"""
DRAWN = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));"


class Film:
    """Screenshots with the pointer in them."""

    def __init__(self, page: PageDriver) -> None:
        self._page = page
        self.frames: list[Image.Image] = []
        self.durations: list[int] = []
        self.pointer: tuple[float, float] | None = None

    def take(self, milliseconds: int) -> None:
        """One frame."""
        browser = self._page.browser
        browser.execute_async_script(DRAWN)
        frame = Image.open(memory.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        if self.pointer is not None:
            x, y = self.pointer
            arrow = [(0, 0), (0, 22), (5, 17), (9, 26), (13, 24), (9, 16), (16, 16)]
            ImageDraw.Draw(frame).polygon([(x + u, y + v) for u, v in arrow], fill="white", outline="black")
        self.frames.append(frame.resize((frame.width * 5 // 8, frame.height * 5 // 8), Image.Resampling.LANCZOS))
        self.durations.append(milliseconds)

    def save(self, path: Path) -> None:
        """As an animated WebP that begins again."""
        first, *others = self.frames
        first.save(path, save_all=True, append_images=others, duration=self.durations, loop=0, quality=60, method=6)


class Hand:
    """A pointer that moves over the axial plane and is filmed."""

    def __init__(self, page: PageDriver, film: Film) -> None:
        self._page, self._film = page, film

    def go(self, x: float, y: float, then: str = "") -> None:
        """To a voxel; `then`: what the button does there."""
        self._film.pointer = self._page.on_screen(0, x, y)
        chain = self._page.pointing(0, (x, y))
        if then:
            getattr(chain, then)()
        chain.perform()

    def box(self, middle: tuple[int, int, int], half: tuple[int, int, int]) -> None:
        """Drags a box round an ellipsoid."""
        (x, y, _), (w, h) = middle, (half[0] + 3, half[1] + 3)
        self.go(x - w, y - h, "click_and_hold")
        for part in (0.35, 0.7, 1.0):
            self.go(x - w + 2 * w * part, y - h + 2 * h * part)
            self._film.take(140)
        self._page.after(lambda: ActionChains(self._page.browser, duration=0).release().perform())


def test_animation(address: str, upload: Any, chromium: Any, tmp_path: Path) -> None:
    scan = save_nifti(tmp_path / "ct.nii.gz", abdomen().transpose(), np.diag([-1.6, -1.6, 4.0, 1.0]))
    page = PageDriver(chromium, address, *upload(scan))
    page.keys("1")
    page.slice(0, SLICE)
    page.until("document.getElementById('encoding').value === document.getElementById('encoding').max", 120)
    film = Film(page)
    hand = Hand(page, film)
    film.take(900)
    hand.go(*LIVER[0][:2])
    page.until("window.medsamPage.planes.some(({ preview }) => preview) && !window.medsamPage.preview.asking")
    film.take(1100)  # the dotted edge of what a click would find
    hand.box(*LIVER)
    film.take(900)
    page.browser.execute_script(HOLD)
    page.keys("g")
    page.until("window.planes.length && !window.medsamPage.view.propagation", 120)
    while page.value("window.planes.length"):
        page.browser.execute_script("window.growSome(2)")
        film.take(140)
    page.browser.execute_script("window.letTake()")
    page.until("!window.medsamPage.steps")
    film.take(900)
    page.keys("m")
    hand.box(*KIDNEY)
    film.take(600)
    page.after(lambda: page.keys("g"))
    film.take(900)
    for index in (22, 25, 28, 24, 16, 12, SLICE):
        page.slice(0, index)
        film.take(170)
    page.keys("o")
    film.take(1800)
    assert page.errors() == []
    for number, organ in enumerate((LIVER, KIDNEY), 1):
        pixels = page.value(f"Array.from(window.medsamPage.view.masks.plane('object {number}', 0, {SLICE}))")
        assert dice(np.array(pixels, np.bool_).reshape(SHAPE[1:]), ellipsoid(*organ)[SLICE]) > 0.85
    path = Path(os.environ.get("MEDSAM_PICTURES", tmp_path)) / "viewer.webp"
    film.save(path)
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as made:
        assert getattr(made, "n_frames", 1) == pytest.approx(len(film.frames), abs=3)  # equal ones are one
