# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What goes wrong around the static page: hasty people, files that cannot be read, and browsers that cannot keep."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ball_scan import affine, ball, corners
from nifti_builder import save as save_nifti
from static_page import BUNDLE, Site, StaticPage, served_page

# As a person who presses G and then Escape before the worker has begun.
_FILL_AND_STOP = "window.medsamPage.propagate(); window.medsamPage.giveUp();"
# Whether the browser would ask before it closes the page, while the first step is still computed.
_LEAVE_AT_ONCE = """
const page = window.medsamPage;
page.draw(page.planes[0], { kind: "box", box: arguments[0] }, [60, 30]);
return !dispatchEvent(new Event("beforeunload", { cancelable: true }));
"""
_LEAVE = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"
_UPLOAD = "window.medsamPage.upload(arguments[0].map((name) => new File(['abc'], name)));"
_SAID = "Array.from(document.querySelectorAll('#messages p'), (line) => line.textContent).join(' ')"


# A folder with a file, as a drop has them; reading the one that is called "gone" fails.
_DROP = """
const [folder, name, bytes] = arguments, content = new File([Uint8Array.from(bytes)], name);
const file = (done, failed) => (folder === "gone" ? failed(new Error("It is gone.")) : done(content));
const some = [[{ isFile: true, name, file }], []];
const createReader = () => ({ readEntries: (done) => done(some.shift()) });
const directory = { isDirectory: true, name: folder, createReader };
const event = new Event("drop", { bubbles: true, cancelable: true });
event.dataTransfer = { items: [{ webkitGetAsEntry: () => directory }] };
document.body.dispatchEvent(event);
"""


def _opened(page: StaticPage, folder: Path) -> StaticPage:
    page.open(save_nifti(folder / "scan.nii.gz", ball().transpose(), affine("LPS")))
    page.slice(0, 2)
    return page


def test_a_propagation_that_is_stopped_before_it_begins(site: Site, chromium: object, tmp_path: Path) -> None:
    """It is no error, and the step before is still there to be undone."""
    page = _opened(StaticPage(chromium, site.address), tmp_path)
    page.after(lambda: page.drag(0, *corners()))
    before = page.value("window.medsamPage.view.objects[0].voxels")
    page.browser.execute_script(_FILL_AND_STOP)
    page.until("!window.medsamPage.steps")
    assert "Stopped before the first slice was filled. Nothing has changed." in page.value(_SAID)
    assert page.refusals() == []
    assert page.value("window.medsamPage.view.objects[0].voxels") == before


def test_a_page_that_is_left_during_the_first_step(site: Site, chromium: object, tmp_path: Path) -> None:
    """The browser asks, as it does once the mask is there; not when nothing was drawn, and not after a save."""
    page = _opened(StaticPage(chromium, site.address), tmp_path)
    assert not page.value(_LEAVE)
    (x0, y0), (x1, y1) = corners()
    box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
    assert page.browser.execute_script(_LEAVE_AT_ONCE, box)
    page.until("!window.medsamPage.steps")
    assert page.value(_LEAVE)
    page.save("nifti", page.browser.downloads)
    assert not page.value(_LEAVE)


def test_files_that_the_browser_does_not_read(site: Site, chromium: object, tmp_path: Path) -> None:
    """One sentence names the file; the browser's own says something of permissions."""
    page = StaticPage(chromium, site.address)
    with (tmp_path / "big.nii").open("wb") as file:
        file.truncate(2**31 + 1)
    assert "got big.nii of 2.15 GB, expected at most 2.14 GB" in page.refused(tmp_path / "big.nii")
    page.browser.execute_script("document.getElementById('messages').replaceChildren()")
    page.browser.execute_script(_UPLOAD, ["a.nii", "b.nii"])
    page.until("document.querySelector('#messages .error')")
    assert "got 2 files, a.nii among them, expected one, or the files of one DICOM series" in page.refusals()[0]


def test_a_folder_that_is_dropped(site: Site, chromium: object, tmp_path: Path) -> None:
    """The study, and so the file of its masks, has the folder's name; what cannot be read is told."""
    page = StaticPage(chromium, site.address)
    content = save_nifti(tmp_path / "scan.nii.gz", ball().transpose(), affine("LPS")).read_bytes()
    page.browser.execute_script(_DROP, "thorax", "IM0001.nii.gz", list(content))
    page.until("window.medsamPage.view")
    assert page.value("window.medsamPage.view.study.name") == "thorax"
    page.browser.execute_script(_DROP, "gone", "IM0001.nii.gz", [1])
    page.until("document.querySelector('#messages .error')")
    assert page.refusals() == ["It is gone."]


def test_a_store_that_cannot_be_read_is_none(chromium: object, tmp_path: Path) -> None:
    """As when its files are damaged on the disk: the weights are fetched."""
    if not BUNDLE.exists():
        pytest.skip(f"there is no {BUNDLE}: make wasm")
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    with served_page(tmp_path, tmp_path / "bundle") as own:
        worker = own.folder / "worker.js"
        broken = (
            "for (const name of ['match', 'keys', 'put']) Cache.prototype[name] = async () => { throw new Error(); };"
        )
        worker.write_text(broken + worker.read_text())
        page = StaticPage(chromium, own.address)
        assert page.refusals() == []
        assert sum(path.endswith(".safetensors") for path in own.asked) == 2
        _opened(page, tmp_path)
