# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A mask that grows on the page while it is propagated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from block_scan import BLOCK, save_block
from page_driver import PageDriver

DEPTH = 30
# Notes the slice and the mask of each plane that comes, and what the page shows of it then. The step's reply waits for
# window.letTake.
NOTE = """
const { view } = window.medsamPage, grow = view.grow.bind(view), take = view.take.bind(view);
const may = new Promise((go) => { window.letTake = go; });
window.grown = [];
view.take = async (reply) => { await may; return take(reply); };
view.grow = (told) => {
  grow(told);
  const z = told.mask.box[2];
  window.grown.push({ z, revision: view.revision, pixels: view.masks.plane(told.mask.object, 0, z).join("") });
  window.whenGrown?.();
};
"""
# Of the planes that came, those that are something else after the step.
CHANGED = (
    "window.grown.filter(({ z, pixels }) => window.medsamPage.view.masks.plane('object 1', 0, z).join('') !== pixels)"
)


@pytest.fixture
def page(address: str, upload: Any, chromium: Any, tmp_path: Path) -> PageDriver:
    """With the mask of a box in a slice, and all slices encoded."""
    made = PageDriver(chromium, address, *upload(save_block(tmp_path, DEPTH)))
    made.slice(0, 15)
    x0, y0, _, x1, y1, _ = BLOCK
    made.after(lambda: made.drag(0, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2)))
    made.until("document.getElementById('encoding').value === document.getElementById('encoding').max")
    made.browser.execute_script(NOTE)
    return made


def server_voxels(page: PageDriver) -> list[int]:
    study = page.value("window.medsamPage.view.study.id")
    return [item["voxels"] for item in page.api(f"/api/studies/{study}")["objects"]]


def page_voxels(page: PageDriver) -> int:
    """Of the first object, counted in the masks that the page shows."""
    return int(
        page.value(
            "[...window.medsamPage.view.masks.objects.get('object 1').values()]"
            ".reduce((sum, slice) => sum + slice.reduce((some, value) => some + value, 0), 0)"
        )
    )


def test_planes_come_before_the_step(page: PageDriver) -> None:
    """Outward from the box, on top of the step before; each is what the step then has there."""
    page.keys("g")
    page.until("window.grown.length && !window.medsamPage.view.propagation")
    slices = page.value("window.grown.map(({ z }) => z)")
    assert slices == [15 + sign * far for far in range(1, DEPTH) for sign in (-1, 1)][: len(slices)]
    assert page.value("window.grown.every(({ revision }) => revision === 1)")
    page.browser.execute_script("window.letTake()")
    page.until("!window.medsamPage.steps")
    assert page.value(CHANGED) == []
    assert server_voxels(page) == [page_voxels(page)]
    assert page.revision() == 2
    assert page.errors() == []


def test_cancel_keeps_what_has_grown(page: PageDriver) -> None:
    """However far it came: the page and the server have the same, and one step back is the box alone."""
    before = page_voxels(page)
    page.browser.execute_script("window.letTake(); window.whenGrown = () => window.medsamPage.giveUp();")
    page.after(lambda: page.keys("g"))
    page.until("!window.medsamPage.view.propagation")
    assert page.value("window.grown.length") >= 1
    assert page_voxels(page) > before
    assert server_voxels(page) == [page_voxels(page)]
    page.after(page.undo)
    assert page_voxels(page) == before
    assert server_voxels(page) == [before]
    assert page.errors() == []


def test_planes_of_a_propagation_that_failed_go(page: PageDriver) -> None:
    """The end of a propagation without a step brings back what the server has."""
    before = page_voxels(page)
    page.browser.execute_script(
        "const page = window.medsamPage, box = [0, 0, 15, 95, 79, 15];"
        "page.told(page.view, 'propagation', { object: 'object 1', done: 1, total: 9 });"
        "page.told(page.view, 'grown', { revision: 1, mask: { object: 'object 1', box, runs: [0, 96 * 80] } });"
    )
    assert page_voxels(page) == 96 * 80
    page.browser.execute_script("window.medsamPage.told(window.medsamPage.view, 'propagation', null)")
    page.until("window.medsamPage.view.masks.at('object 1', 0, 0, 15) === 0")
    assert page_voxels(page) == before
    page.browser.execute_script(
        "const page = window.medsamPage, box = [0, 0, 15, 95, 79, 15];"
        "page.told(page.view, 'grown', { revision: 0, mask: { object: 'object 1', box, runs: [0, 96 * 80] } });"
    )
    assert page_voxels(page) == before  # on top of a step that was taken back meanwhile
