# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The static page's weights: fetched once, kept by the browser, and verified before each use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ball_scan import affine, ball
from nifti_builder import save as save_nifti
from static_page import BUNDLE, Site, StaticPage, served_page

_KEPT = """
const done = arguments[0];
caches.open("medsam-engine-weights").then(async (store) => done((await store.keys()).map(({ url }) => url)));
"""
# One byte of every kept file becomes another.
_DAMAGE = """
const done = arguments[0];
caches.open("medsam-engine-weights").then(async (store) => {
  for (const key of await store.keys()) {
    const bytes = new Uint8Array(await (await store.match(key)).arrayBuffer());
    bytes[bytes.length >> 1] ^= 1;
    await store.put(key, new Response(bytes));
  }
  done(true);
});
"""


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """With a bundle of its own, and a port, so that no browser has its weights."""
    if not BUNDLE.exists():
        pytest.skip(f"there is no {BUNDLE}: make wasm")
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLE, bundle)
    with served_page(tmp_path, bundle) as made:
        yield made


def weights_asked(site: Site) -> list[str]:
    asked = [path.rsplit("/", 1)[1] for path in site.asked if path.endswith(".safetensors")]
    site.asked.clear()
    return sorted(asked)


def test_weights_are_fetched_once(own_site: Site, chromium: Any, tmp_path: Path) -> None:
    both = ["decoder.fused.safetensors", "encoder.fused.safetensors"]
    page = StaticPage(chromium, own_site.address)
    assert weights_asked(own_site) == both
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    hashes = {manifest["fused"][stage]["sha256"] for stage in ("encoder", "decoder")}
    kept = page.browser.execute_async_script(_KEPT)
    assert {url.rsplit("/", 1)[1].split(".")[0] for url in kept} == hashes

    page.load()
    assert weights_asked(own_site) == []
    page.open(save_nifti(tmp_path / "scan.nii", ball().transpose(), affine("LPS")))
    page.after(lambda: page.drag(0, (50, 10), (85, 45)))

    page.browser.execute_async_script(_DAMAGE)  # which is found out
    page.load()
    assert weights_asked(own_site) == both
    page.load()
    assert weights_asked(own_site) == []


def test_weights_that_are_not_the_manifests_are_refused(own_site: Site, chromium: Any, tmp_path: Path) -> None:
    """Nothing of them is kept, and the page says why nothing works."""
    file = tmp_path / "bundle" / "encoder.fused.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    page = StaticPage(chromium, own_site.address)
    assert "other bytes than the manifest's SHA-256" in " ".join(page.refusals())
    kept = page.browser.execute_async_script(_KEPT)
    assert not any("5e18686e" in url for url in kept)
    scan = save_nifti(tmp_path / "scan.nii", ball().transpose(), affine("LPS"))
    assert "other bytes than the manifest's SHA-256" in page.refused(scan)


def test_a_page_without_a_bundle_says_so(own_site: Site, chromium: Any) -> None:
    (own_site.folder / "bundle").unlink()
    page = StaticPage(chromium, own_site.address)
    assert "manifest.json: got HTTP 404, expected the file of a bundle" in " ".join(page.refusals())


def test_nothing_is_asked_of_another_server(own_site: Site, site: Site, chromium: Any) -> None:
    """Neither by the page nor by its worker: the browser itself refuses."""
    site.asked.clear()
    page = StaticPage(chromium, own_site.address)
    chromium.get(f"{own_site.address}/?bundle={site.address}/bundle/")
    page.until("document.body.dataset.ready === 'yes'")
    assert "manifest.json: got no answer" in " ".join(page.refusals())
    asked = page.browser.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then(() => done('answered'), () => done('refused'))",
        f"{site.address}/index.html",
    )
    assert asked == "refused"
    assert site.asked == []
    assert page.errors() != []  # the refusals
