# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""docs/webassembly.md's picture of the static page; `make animation` keeps it in docs/images.

The scan is synthetic, and the masks are the model's.
"""

from __future__ import annotations

import io as memory
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from abdomen_scan import KIDNEY, LIVER, SHAPE, SLICE, abdomen, dice, ellipsoid
from nifti_builder import save as save_nifti
from PIL import Image
from static_page import NativeStudy, Site, StaticPage, check_saved

from medsam_engine import Engine

MOST_BYTES = 60_000


def test_picture(site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """Two organs by a box each, as the native engine has them."""
    scan = save_nifti(tmp_path / "ct.nii.gz", abdomen().transpose(), np.diag([-1.6, -1.6, 4.0, 1.0]))
    page = StaticPage(chromium, site.address)
    page.open(scan)
    page.keys("1")
    page.slice(0, SLICE)
    for (x, y, _), (width, height, _) in (LIVER, KIDNEY):
        page.after(partial(page.drag, 0, (x - width, y - height), (x + width, y + height)))
        page.keys("m")
    page.leave()
    path = Path(os.environ.get("MEDSAM_PICTURES", tmp_path)) / "page_without_server.webp"
    shot = Image.open(memory.BytesIO(page.browser.get_screenshot_as_png())).convert("RGB")
    shot.resize((shot.width * 5 // 8, shot.height * 5 // 8), Image.Resampling.LANCZOS).save(path, quality=70, method=6)
    assert path.stat().st_size < MOST_BYTES
    study = NativeStudy(native, scan)
    study.draw(page.sent())
    check_saved(page, study, tmp_path, chromium.downloads)
    for number, organ in enumerate((LIVER, KIDNEY), 1):
        pixels = page.value(f"Array.from(window.medsamPage.view.masks.plane('object {number}', 0, {SLICE}))")
        assert dice(np.array(pixels, np.bool_).reshape(SHAPE[1:]), ellipsoid(*organ)[SLICE]) > 0.85
    assert page.errors() == []
