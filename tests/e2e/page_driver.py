# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The page as a person's hands see it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_MOUSE
from selenium.webdriver.common.actions.mouse_button import MouseButton
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

_SECONDS = 120  # also on a machine with much other work
# Where on the screen the center of a voxel of a plane lies, from the page's own matrix.
_PLACE = """
const [axis, i, j] = arguments;
const plane = window.medsamPage.planes.find((one) => one.axis === axis);
const [a, b, c, d, e, f] = plane.matrix;
return [a * (i + .5) + c * (j + .5) + e, b * (i + .5) + d * (j + .5) + f];
"""
# Requests whose address ends with the text wait for `release`, or fail; window.asked counts those without an answer.
_NETWORK = """
const [ending, fail] = arguments, real = window.fetch;
Object.assign(window, { held: [], asked: 0, holding: true });
window.fetch = async (path, options) => {
  window.asked++;
  try {
    if (!window.holding || !path.endsWith(ending)) return await real(path, options);
    if (fail) throw new TypeError("Failed to fetch");
    await new Promise((go) => window.held.push(go));
    return await real(path, options);
  } finally { window.asked--; }
};
"""


def ask(url: str, method: str = "GET", body: bytes | None = None) -> Any:
    """A request apart from the page; the JSON of its answer, or None."""
    content = b"" if body is None and method == "POST" else body  # the server asks for a length
    with urllib.request.urlopen(urllib.request.Request(url, content, method=method)) as reply:
        content = reply.read()
    return json.loads(content) if content else None


class PageDriver:
    """Opens a server's page and works on it."""

    def __init__(self, chromium: Any, address: str, study: str = "") -> None:
        """`study`: the id of the one that is shown; the first one if there is none."""
        self.browser, self.address, self._study = chromium, address, study
        self.errors()  # of the page before
        self.load()

    def load(self) -> None:
        """Loads the page, and waits until it has its study."""
        self.browser.get(f"{self.address}/?study={self._study}")
        self.until("document.body.dataset.ready === 'yes'")

    def until(self, condition: str, seconds: float = _SECONDS) -> None:
        """Waits for a condition of the page."""
        WebDriverWait(self.browser, seconds, poll_frequency=0.02).until(
            lambda driver: driver.execute_script(f"return Boolean({condition})"), condition
        )

    def value(self, expression: str) -> Any:
        """Of the page."""
        return self.browser.execute_script(f"return {expression}")

    def revision(self) -> int:
        """The steps that the page has seen."""
        return int(self.value("window.medsamPage.view.revision"))

    def _canvas(self, axis: int) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, f"canvas[data-axis='{axis}']")

    def _offset(self, axis: int, i: float, j: float) -> tuple[int, int]:
        canvas = self._canvas(axis)
        x, y = self.browser.execute_script(_PLACE, axis, i, j)
        return round(x - canvas.rect["width"] / 2), round(y - canvas.rect["height"] / 2)

    def on_screen(self, axis: int, i: float, j: float) -> tuple[float, float]:
        """Where a voxel of a plane lies in a screenshot."""
        x, y = self.browser.execute_script(_PLACE, axis, i, j)
        canvas = self._canvas(axis).rect
        return canvas["x"] + x, canvas["y"] + y

    def pointing(self, axis: int, at: tuple[float, float]) -> Any:
        """Actions that begin with the pointer's way to a voxel of a plane."""
        chain = ActionChains(self.browser, duration=0)
        return chain.move_to_element_with_offset(self._canvas(axis), *self._offset(axis, *at))

    def after(self, act: Any, settle: int = 1) -> None:
        """Does something that makes steps, and waits until the page has seen them."""
        before = self.revision()
        act()
        self.until(f"window.medsamPage.view.revision >= {before + settle} && !window.medsamPage.steps")

    def drag(self, axis: int, start: tuple[float, float], end: tuple[float, float], key: str | None = None) -> None:
        """A left drag between voxels of a plane; `key` is pressed on the way."""
        self.draw(axis, [start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end], key)

    def draw(self, axis: int, points: list[tuple[float, float]], key: str | None = None) -> None:
        """A left drag through voxels of a plane; `key` is pressed before the last one."""
        canvas = self._canvas(axis)
        (x, y), *others = [self._offset(axis, *point) for point in points]
        chain = ActionChains(self.browser, duration=0)
        chain.move_to_element_with_offset(canvas, x, y).click_and_hold()
        for number, (x, y) in enumerate(others, 1):
            if key is not None and number == len(others):
                chain.send_keys(key)
            chain.move_to_element_with_offset(canvas, x, y)
        chain.release().perform()

    def drag_window(self, axis: int, by: tuple[int, int], *, key: str | None = None) -> None:
        """A drag by pixels of the screen from the middle of a plane: with the right button, or the left and `key`."""
        actions = ActionBuilder(self.browser, mouse=PointerInput(POINTER_MOUSE, "mouse"), duration=0)
        button = MouseButton.RIGHT if key is None else MouseButton.LEFT
        if key is not None:
            ActionChains(self.browser, duration=0).key_down(key).perform()
        pointer = actions.pointer_action
        pointer.move_to(self._canvas(axis)).pointer_down(button)
        pointer.move_by(*by).pointer_up(button)
        actions.perform()
        if key is not None:
            ActionChains(self.browser, duration=0).key_up(key).perform()

    def wheel(self, axis: int, notches: int, *, key: str | None = None) -> None:
        """Turns the wheel over a plane, down where `notches` is above 0; `key` is held meanwhile."""
        for _ in range(abs(notches)):
            chain = ActionChains(self.browser, duration=0)
            if key is not None:
                chain.key_down(key)
            chain.scroll_from_origin(ScrollOrigin.from_element(self._canvas(axis)), 0, 100 if notches > 0 else -100)
            if key is not None:
                chain.key_up(key)
            chain.perform()

    def press(self, *keys: str) -> None:
        """Keys, all held together, wherever the focus is."""
        chain = ActionChains(self.browser, duration=0)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in keys[:-1]:
            chain.key_up(key)
        chain.perform()

    def click(self, axis: int, at: tuple[float, float], *, negative: bool = False) -> None:
        """A click on a voxel of a plane; a right click is negative."""
        chain = self.pointing(axis, at)
        (chain.context_click() if negative else chain.click()).perform()

    def hover(self, axis: int, at: tuple[float, float]) -> None:
        """The pointer over a voxel of a plane."""
        self.pointing(axis, at).perform()

    def leave(self) -> None:
        """The pointer on none of the planes."""
        ActionChains(self.browser, duration=0).move_to_element(self.browser.find_element(By.TAG_NAME, "h1")).perform()

    def keys(self, *keys: str) -> None:
        """Pressed at the page."""
        self.browser.find_element(By.TAG_NAME, "body").send_keys(*keys)

    def undo(self) -> None:
        """Ctrl+Z."""
        self.press(Keys.CONTROL, "z")

    def slice(self, axis: int, index: int) -> None:
        """Shows a plane."""
        self.browser.execute_script(
            "const page = window.medsamPage; page.view.place[2 - arguments[0]] = arguments[1]; page.redraw();",
            axis,
            index,
        )

    def save(self, kind: str, folder: Path) -> Path:
        """Saves as a person does, and returns the file in `folder`."""
        for old in folder.iterdir():
            old.unlink()
        self.browser.execute_script("document.getElementById('format').value = arguments[0]", kind)
        self.browser.find_element(By.ID, "save").click()
        WebDriverWait(self.browser, _SECONDS, poll_frequency=0.05).until(
            lambda _: [
                path for path in folder.iterdir() if not path.name.endswith(".crdownload") and path.name[0] != "."
            ]
        )
        return next(path for path in folder.iterdir() if path.name[0] != ".")

    def hold(self, ending: str) -> None:
        """Has the page's requests to an address with this ending wait for `release`; they are in window.held."""
        self.browser.execute_script(_NETWORK, ending, False)

    def fail(self, ending: str) -> None:
        """Has the page's requests to an address with this ending fail, as when the connection is lost."""
        self.browser.execute_script(_NETWORK, ending, True)

    def release(self) -> None:
        """Lets the requests go that were held, and all later ones."""
        self.browser.execute_script("window.holding = false; for (const go of window.held) go();")

    def api(self, path: str) -> Any:
        """GET, apart from the page."""
        return ask(self.address + path)

    def studies(self) -> list[str]:
        """The ids of the open studies, as the server has them."""
        return [study["id"] for study in self.api("/api/state")["studies"]]

    def objects(self, study: str) -> list[str]:
        """The keys of a study's objects, as the server has them."""
        return [item["key"] for item in self.api(f"/api/studies/{study}")["objects"]]

    def pick(self, study: str) -> None:
        """Picks a study in the list."""
        Select(self.browser.find_element(By.ID, "studies")).select_by_value(study)

    def errors(self) -> list[str]:
        """What the browser complains of, such as the content security policy; reading empties it."""
        return [line["message"] for line in self.browser.get_log("browser") if line["level"] == "SEVERE"]
