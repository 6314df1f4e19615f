# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The static page, assembled and served, and what the native engine makes of the same prompts."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from page_driver import PageDriver

from medsam_engine import Engine, io
from medsam_engine.serve.api import bodies
from medsam_engine.serve.api.export import exported
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.study import Study

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "build" / "wasm" / "package"
BUNDLE = ROOT / "build" / "bundles" / "litemedsam-native"
# docs/webassembly.md says that a page with threads is sent with these.
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
# What the page sends to its engine, in the order in which it does.
_RECORD = """
const { view } = window.medsamPage, real = view.prompt.bind(view);
window.sent = [];
view.prompt = (prompt) => { window.sent.push(prompt); return real(prompt); };
"""


class FileHandler(SimpleHTTPRequestHandler):
    """Files of a folder, with more headers; `asked` gets the path of every request."""

    def __init__(self, headers: Mapping[str, str], asked: list[str], *args: Any, **kwargs: Any) -> None:
        self.more_headers, self.asked = headers, asked
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def end_headers(self) -> None:
        for name, value in {"cache-control": "no-store", **self.more_headers}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that http.server gives it)
        """Says nothing."""


class Site:
    """A folder that is served. `asked`: the paths of the requests so far."""

    def __init__(self, address: str, folder: Path, asked: list[str]) -> None:
        self.address, self.folder, self.asked = address, folder, asked


@contextmanager
def served_folder(folder: Path, headers: Mapping[str, str] = MappingProxyType({})) -> Iterator[Site]:
    """A folder as any server of files has it, on a free port."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FileHandler, headers, asked, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_address[1]}", folder, asked)
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def served_page(
    folder: Path, bundle: Path = BUNDLE, headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Site]:
    """The page with a bundle. Skips without what `make wasm` makes."""
    for needed in (PACKAGE, ROOT / "build" / "wasm" / "npm" / "node_modules", BUNDLE):
        if not needed.exists():
            pytest.skip(f"there is no {needed}: make wasm")
    site = folder / "site"
    subprocess.run([ROOT / "scripts" / "run" / "assemble_page.sh", site], check=True)
    (site / "bundle").symlink_to(bundle)
    with served_folder(site, headers) as made:
        yield made


class StaticPage(PageDriver):  # type: ignore[misc]  # mypy skips the modules of this folder
    """Works on the static page."""

    def open(self, *paths: Path) -> None:
        """Chooses files as a person does, or a folder, and waits until they are shown."""
        before = self.value("window.medsamPage.view?.engine.id ?? null")
        chooser = "folder" if paths[0].is_dir() else "files"
        self.browser.find_element("id", chooser).send_keys("\n".join(map(str, paths)))
        self.until(
            f"(window.medsamPage.view?.engine.id ?? null) !== {before!r}".replace("None", "null")
            + " || document.querySelector('#messages .error')"
        )
        assert self.refusals() == []
        self.browser.execute_script(_RECORD)

    def refused(self, *paths: Path) -> str:
        """What the page says of files that it cannot open."""
        chooser = "folder" if paths[0].is_dir() else "files"
        self.browser.execute_script("document.getElementById('messages').replaceChildren()")
        self.browser.find_element("id", chooser).send_keys("\n".join(map(str, paths)))
        self.until("document.querySelector('#messages .error')")
        return " ".join(self.refusals())

    def refusals(self) -> list[str]:
        """What the page shows as errors."""
        said = self.value("Array.from(document.querySelectorAll('#messages .error'), (line) => line.textContent)")
        return list(said)

    def sent(self) -> list[dict[str, Any]]:
        """The prompts so far, as the page has made them."""
        return list(self.value("window.sent"))


class NativeStudy:
    """The server's own handling of an image, for comparison: the same prompts, and the same files."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.image = io.read(path)
        self.opened = OpenStudy(Study(engine, self.image, path.name))

    def draw(self, prompts: list[dict[str, Any]]) -> None:
        """Prompts as the page has made them."""
        for prompt in prompts:
            self.opened.prompt(bodies.PROMPT.validate_python(_as_json(prompt)))

    def save(self, kind: str, folder: Path) -> Path:
        """As the page's button does, in `folder`."""
        made = exported(self.opened, kind)
        folder.mkdir(exist_ok=True)
        path = folder / made.name
        path.write_bytes(made.content)
        return path


def _as_json(prompt: dict[str, Any]) -> dict[str, Any]:
    """Selenium gives a whole number as an int, where the model wants a float."""
    floats: dict[str, Any] = {key: _floats(prompt[key]) for key in ("point", "line", "outline") if key in prompt}
    if prompt["kind"] == "box":
        floats["box"] = _floats(prompt["box"])
    return {**prompt, **floats}


def _floats(value: Any) -> Any:
    return [_floats(part) for part in value] if isinstance(value, list) else float(value)


def dsc(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def check_saved(page: StaticPage, study: NativeStudy, folder: Path, downloads: Path) -> None:
    """The saved NIfTI beside the server's: name, header and grid equal, each object's mask by DSC."""
    saved, wanted = page.save("nifti", downloads), study.save("nifti", folder / "native")
    assert saved.name == wanted.name
    assert _header(saved) == _header(wanted)
    np.testing.assert_array_equal(io.read(saved).affine, io.read(wanted).affine)
    check_labels(io.read_labels(saved)[0], io.read_labels(wanted)[0])


def check_labels(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Objects by their labels."""
    assert got.shape == expected.shape
    assert set(np.unique(got)) == set(np.unique(expected)) != {0}
    for label in np.unique(expected):
        assert dsc(got == label, expected == label) >= 0.9999, label


def _header(file: Path) -> bytes:
    content = gzip.decompress(file.read_bytes())
    return content[: 540 if content[:4] == (540).to_bytes(4, "little") else 348]
