# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The npm package's threads in a headless Chromium: in a page that is isolated from others, and in one that is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "wasm" / "package"
BUNDLE = ROOT / "build" / "bundles" / "litemedsam-native"

# docs/webassembly.md says that a page with threads is sent with these.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

PAGE = """<!doctype html>
<script type="module">
  const worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => (window.answer = data);
  worker.onerror = (event) => (window.answer = { error: event.message });
</script>
"""

# What one and what two threads answer, as text, so that every bit counts.
WORKER = """
import { Engine } from "./package/index.js";

const data = Uint8Array.from({ length: 200 * 160 }, (_, i) => (i * 31 + (i >> 7) * 5) & 255);
const image = { data, height: 160, width: 200 };
const answer = async (threads) => {
  const engine = await Engine.fetch("bundle/", { threads });
  const embedding = engine.encode(image);
  const { labels } = engine.segment(embedding, [[20, 30, 120, 110]]);
  return { threads: engine.info.threads, bits: new Uint32Array(embedding.values().buffer).join() + labels.join() };
};
try {
  const [one, two] = [await answer(1), await answer(2)];
  const threads = [one.threads, two.threads], equal = one.bits === two.bits;
  self.postMessage({ isolated: crossOriginIsolated, threads, equal });
} catch (error) {
  self.postMessage({ error: String(error) });
}
"""

Open = Callable[[dict[str, str]], str]


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder with more headers, and without a line for every request."""

    def __init__(self, headers: dict[str, str], *args: Any, **kwargs: Any) -> None:
        self.more_headers = headers
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        """Sends them with every file."""
        for name, value in self.more_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that http.server gives it)
        """Says nothing."""


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Open]:
    """Serves the page with headers; returns its address."""
    for needed in (PACKAGE / "medsam_engine_threads.wasm", BUNDLE):
        if not needed.exists():
            pytest.skip(f"there is no {needed}: make wasm")
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "worker.js").write_text(WORKER)
    (tmp_path / "package").symlink_to(PACKAGE)
    (tmp_path / "bundle").symlink_to(BUNDLE)
    opened: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(headers: dict[str, str]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, headers, directory=str(tmp_path)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        opened.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server, thread in opened:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("headers", "isolated", "threads"), [(ISOLATED, True, [1, 2]), ({}, False, [1, 1])])
def test_an_isolated_page_has_threads_and_others_have_one(
    chromium: Any, open_site: Open, headers: dict[str, str], isolated: bool, threads: list[int]
) -> None:
    chromium.get(open_site(headers))
    WebDriverWait(chromium, 180).until(lambda _: chromium.execute_script("return window.answer !== undefined"))
    answer = chromium.execute_script("return window.answer")
    assert answer == {"isolated": isolated, "threads": threads, "equal": True}
