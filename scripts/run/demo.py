# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The demo: outlines organs on a real abdominal MR slice and writes an overlay.

The image is ``examples_overlay.dcm``, a contrast-enhanced T1 slice of 484 x 300 pixels that comes inside the pydicom
package; it is neither downloaded nor redistributed. The boxes were drawn by eye.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pydicom.data
from PIL import Image

import medsam_engine
from medsam_engine.show.overlay import draw_overlay

# Name and box (x0, y0, x1, y1), inclusive pixel indices.
OBJECTS: dict[str, tuple[int, int, int, int]] = {
    "right kidney": (119, 188, 184, 249),
    "left kidney": (289, 197, 346, 251),
    "spleen": (359, 118, 402, 231),
    "liver lesion": (120, 107, 163, 146),
}


def load_image() -> npt.NDArray[np.uint8]:
    """Returns the slice (300, 484) as u8, intensities as the MedSAM challenge prepares MR.

    0.5 to 99.5 percentile of the non-zero pixels, then stretched to 0..255 (bowang-lab/MedSAM, branch LiteMedSAM,
    pre_CT_MR.py).
    """
    path = pydicom.data.get_testdata_file("examples_overlay.dcm", download=False)
    if not isinstance(path, str):
        message = "this pydicom does not carry examples_overlay.dcm; install pydicom==3.0.2"
        raise SystemExit(message)
    pixels = pydicom.dcmread(path).pixel_array.astype(np.float64)
    low, high = np.percentile(pixels[pixels > 0], [0.5, 99.5])
    stretched: npt.NDArray[np.float64] = (np.clip(pixels, low, high) - low) / (high - low) * 255
    return stretched.round().astype(np.uint8)


def fetched(exported: Path | None) -> Path:
    """Returns the bundle of the released weights in the user's data folder, exported there unless it is there already.

    A bundle that was exported now is written down in `exported`, in the format of sha256sum: `make test` takes a copy.
    """
    from medsam_engine_tools.errors import ExportError
    from medsam_engine_tools.export.fetch import bundle_folder, fetch

    manifest = bundle_folder("litemedsam") / "manifest.json"
    before = manifest.stat().st_ino if manifest.is_file() else None
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"model: {time.perf_counter() - start:4.0f} s  {line}", flush=True)

    try:
        bundle = fetch("litemedsam", progress=say, onnx=True)
    except ExportError as error:
        raise SystemExit(f"demo: {error}") from error
    say("ready")
    if exported is not None and manifest.stat().st_ino != before:
        exported.parent.mkdir(parents=True, exist_ok=True)
        exported.write_text(f"{hashlib.sha256(manifest.read_bytes()).hexdigest()}  {manifest}\n", encoding="utf-8")
    return bundle


def main() -> None:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="instead of the one in your data folder, which is fetched")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--exported", type=Path, help="file for the hash of a bundle that was exported now")
    args = parser.parse_args()
    bundle: Path = args.bundle or fetched(args.exported)

    image = load_image()
    boxes = np.array(list(OBJECTS.values()), dtype=np.float64)
    print(f"image: pydicom's examples_overlay.dcm, abdominal MR, {image.shape[1]} x {image.shape[0]} pixels")

    start = time.perf_counter()
    engine = medsam_engine.Engine(bundle)
    loaded = time.perf_counter()
    embedding = engine.encode(image)
    encoded = time.perf_counter()
    labels = engine.segment(embedding, boxes)
    segmented = time.perf_counter()

    print(f"model: {bundle.name} on {engine.info.device}, {engine.info.precision}, loaded in {loaded - start:.2f} s")
    print(f"encode: {(encoded - loaded) * 1e3:.0f} ms, {len(boxes)} boxes: {(segmented - encoded) * 1e3:.0f} ms")
    for label, name in enumerate(OBJECTS, 1):
        print(f"  {label} {name}: {int((labels == label).sum())} pixels")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_overlay(image, labels, boxes)).save(args.out)
    print(f"wrote {args.out}")
    if args.bundle is None:
        box = ",".join(map(str, OBJECTS["right kidney"]))
        print(
            f"\nThe model is in {bundle}, where the command and find_bundle() look for it.\n"
            "Next, with an image of yours:\n"
            "  source .venv/bin/activate\n"
            "  medsam-engine view image.png -o axes.png   # with axes, to read the corners of a box off\n"
            f"  medsam-engine segment image.png --box {box} -o mask.png --overlay overlay.png"
        )


if __name__ == "__main__":
    main()
