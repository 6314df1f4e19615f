# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Changed headers of sound files: what the page reads, the package reads, as the same; else one sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mutations
import numpy as np
import pytest

pytest.importorskip("highdicom", reason="the decoders are not in a thin installation")

from hypothesis import strategies as st
from mutation_bases import BASES, Base
from mutation_dicom_bases import DICOM, SERIES_SLICE, series
from page_reader import PageReader, differences, package_reads, page_reader
from PIL import Image
from png_parts import chunks_of, png_of

# Changes of what neither voxels nor their place follow from, and which pydicom refuses when it looks at it.
BESIDE = ("SpecificCharacterSet ->", "TransferSyntaxUID ->", "Modality ->", "SeriesInstanceUID ->", "Photometric")


def _png(mode: str, **options: Any) -> bytes:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 255, (9, 11, {"RGB": 3, "RGBA": 4}.get(mode, 1))).astype(np.uint8).squeeze()
    if mode == "RGBA":
        values[..., 3] = 255
    image = Image.fromarray(values.astype(np.uint16) * 200 if mode == "I;16" else values)
    written = io.BytesIO()
    (image.convert("P") if mode == "P" else image).save(written, format="PNG", **options)
    return written.getvalue()


def _png_changes(content: bytes) -> mutations.Strategy:
    @st.composite
    def change(draw: st.DrawFn) -> mutations.Changed:
        made = chunks_of(content)
        k = draw(st.integers(0, len(made) - 1))
        how = draw(st.sampled_from(("byte", "out", "twice", "exchanged", "header", "transparency")))
        kind, part = made[k]
        if how == "byte" and part:
            at = draw(st.integers(0, len(part) - 1))
            made[k] = kind, part[:at] + bytes([draw(st.integers(0, 255))]) + part[at + 1 :]
        elif how == "out":
            made.pop(k)
        elif how == "twice":
            made.insert(k, made[k])
        elif how == "exchanged":
            other = draw(st.integers(0, len(made) - 1))
            made[k], made[other] = made[other], made[k]
        elif how == "header":
            at, value = draw(st.sampled_from((3, 7, 8, 9, 10, 11, 12))), draw(st.integers(0, 17))
            made[0] = b"IHDR", made[0][1][:at] + bytes([value]) + made[0][1][at + 1 :]
        else:
            made.insert(1, (b"tRNS", draw(st.binary(min_size=1, max_size=6))))
        return mutations.Changed(png_of(made), f"{how} of {kind!r}")

    return mutations.either(change(), mutations.damaged(content))


PNG = {
    f"png {mode}": Base("png", ".png", lambda mode=mode: _png(mode), _png_changes)
    for mode in ("L", "RGB", "RGBA", "I;16", "P")
}
FILES = {
    **{name: base for name, base in BASES.items() if name.startswith("nifti")},
    **{name: DICOM[name] for name in ("ct", "mr", "rgb", "multi-frame")},
    **PNG,
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageReader]:
    with page_reader(tmp_path_factory.mktemp("reader")) as made:
        yield made


def _check(reader: PageReader, base: Base, name: str, file: Path, folder: Path | None = None) -> None:
    problems, read = [], 0
    unchanged = mutations.Changed(base.content(), "unchanged")
    for number, changed in [(-1, unchanged), *mutations.drawn(base.changes(unchanged.content), name)]:
        if any(word in changed.how for word in BESIDE):
            continue
        file.write_bytes(changed.content)
        page = reader.read(*(sorted(folder.iterdir()) if folder else [file]))
        read += "error" not in page
        found = differences(page, package_reads(folder or file), file.parent.parent if folder else file.parent)
        problems += [f"{number}: {changed.how[:200]}: {text}" for text in found]
    assert not problems, f"seed {mutations.SEED}:\n" + "\n".join(problems[:20])
    assert read > 0 or name in ("multi-frame", "nifti 2", "nifti sheared")  # which are refused as they are


@pytest.mark.parametrize("name", FILES)
def test_a_file(reader: PageReader, name: str, tmp_path: Path) -> None:
    _check(reader, FILES[name], name, tmp_path / f"x{FILES[name].suffix}")


def test_one_slice_of_a_series(reader: PageReader, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for k, content in enumerate(series()):
        (folder / f"{k}.dcm").write_bytes(content)
    _check(reader, SERIES_SLICE, "slice", folder / "1.dcm", folder)
