# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The static page's readers of files, under node: what they make of a file beside what the package makes of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from static_page import ROOT

from medsam_engine import io
from medsam_engine.errors import InvalidArgument, Unsupported

_NPM = ROOT / "build" / "wasm" / "npm" / "node_modules"
_TYPES = {"Uint8Array": "uint8", "Int16Array": "int16", "Uint16Array": "uint16", "Float32Array": "float32"}
_LARGEST = 1 << 20  # voxels of which a mask is written, too


class PageReader:
    """A process that reads files as the page does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self, *paths: Path) -> dict[str, Any]:
        """What the page reads files as, one file or those of a series; or "error"."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@contextmanager
def page_reader(folder: Path) -> Iterator[PageReader]:
    """Bundles the readers as assemble_page.sh does, in `folder`, and starts them."""
    if not _NPM.is_dir():
        pytest.skip(f"there is no {_NPM}: make wasm")
    bundle = folder / "page_reader.mjs"
    command = [_NPM / ".bin" / "esbuild", ROOT / "wasm" / "tests" / "page_reader.mjs", "--bundle", "--format=esm"]
    command += ["--target=es2022", "--external:node:*", "--log-level=warning", f"--outfile={bundle}"]
    subprocess.run(command, check=True, env={"NODE_PATH": str(_NPM), "PATH": "/usr/local/bin:/usr/bin:/bin"})
    with subprocess.Popen(["node", bundle], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield PageReader(process)
        assert process.stdin is not None
        process.stdin.close()


def package_reads(path: Path) -> io.MedicalImage | str:
    """The package's image, or its refusal."""
    try:
        return io.read(path)
    except (InvalidArgument, Unsupported) as error:
        return str(error)


def differences(page: dict[str, Any], package: io.MedicalImage | str, folder: Path) -> list[str]:
    """What is wrong with the page's answer: more is read than by the package, or other things, or it is no sentence."""
    if "error" in page:
        sound = page["kind"] == "Error" and page["error"].startswith(("image: ", "series: ", "geometry: "))
        return [] if sound and "\n" not in page["error"] else [f"no sentence: {page['kind']}: {page['error']}"]
    if isinstance(package, str):
        return [f"read what the package refuses: {package}"]
    wanted = {
        "shape": list(package.grid),
        "type": package.array.dtype.name,
        "digest": hashlib.sha256(np.ascontiguousarray(package.array).tobytes()).hexdigest(),
        "padding": [None if part is None else list(part) for part in package.padding],
        **{name: getattr(package, name) for name in ("color", "spaced", "positioned", "modality", "hounsfield")},
    }
    page["type"] = _TYPES[page["type"]]
    found = [f"{name}: {page[name]}, not {value}" for name, value in wanted.items() if page[name] != value]
    if not np.allclose(page["affine"], package.affine, rtol=1e-12, atol=1e-12):
        found.append(f"affine: {page['affine']}, not {package.affine.tolist()}")
    if not found and package.array.size < _LARGEST and not _same_mask(page["mask"], package, folder):
        found.append("a mask's file has other bytes")
    return found


def _same_mask(mask: str, image: io.MedicalImage, folder: Path) -> bool:
    """The saved file beside the package's: a header made from a matrix is compared as the grid that it gives."""
    k = np.arange(int(np.prod(image.grid)))
    labels = np.where(k % 5 == 0, 1 + k % 3, 0).astype(np.uint8).reshape(image.grid)
    io.write(folder / "wanted.nii.gz", labels, image)
    wanted, got = gzip.decompress((folder / "wanted.nii.gz").read_bytes()), gzip.decompress(base64.b64decode(mask))
    if wanted == got:
        return True
    (folder / "got.nii.gz").write_bytes(gzip.compress(got))
    one, other = io.read(folder / "got.nii.gz"), io.read(folder / "wanted.nii.gz")
    same = np.allclose(one.affine, other.affine, rtol=1e-6, atol=1e-5) and np.array_equal(one.array, other.array)
    return same and image.source is not None and not isinstance(image.source, type(one.source))
