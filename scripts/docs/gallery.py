# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The pictures of docs/gallery.md and README, from images that may be shown: scripts/docs/gallery.py --bundle FOLDER.

The images come with the packages pydicom and scikit-image; their boxes were drawn by eye. With --cases FOLDER, four
cases of public data sets are drawn as well, whose licenses allow it (docs/gallery.md names them).
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pydicom.data
from demo import OBJECTS, load_image
from numpy.typing import NDArray
from PIL import Image

import medsam_engine
from medsam_engine.show.overlay import draw_overlay
from medsam_engine.show.preview import Marks, contact_sheet
from medsam_engine.show.slice_axes import MmScale, SliceAxes

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 150_000
SIDES = (560, 480, 420, 360, 320, 280, 240)  # longer side of a slice; the first that makes a small enough file


class Picture(NamedTuple):
    """What to segment and to show."""

    name: str
    pixels: NDArray[np.generic]  # (H, W[, 3]) or (D, H, W)
    boxes: NDArray[np.float64]  # (N, 4) or (N, 6)
    slices: tuple[int, ...] = ()  # of a volume
    spacing: tuple[float, float, float] | None = None


def package_pictures() -> Iterator[Picture]:
    """Images inside pydicom and scikit-image."""
    import skimage.data

    yield Picture("mr", load_image(), np.array(list(OBJECTS.values()), np.float64))
    path = pydicom.data.get_testdata_file("examples_rgb_color.dcm", download=False)
    lymph_node = pydicom.dcmread(str(path)).pixel_array[54:166, 8:312]  # without the text around
    yield Picture("us", lymph_node, np.array([[14.0, 27, 152, 86]]))
    yield Picture("fundus", skimage.data.retina()[::2, ::2], np.array([[82.0, 304, 156, 394]]))
    yield Picture("histology", skimage.data.immunohistochemistry(), np.array([[248.0, 306, 380, 480]]))
    yield Picture("cell", skimage.data.cell(), np.array([[362.0, 308, 498, 444]]))


def case_pictures(folder: Path) -> Iterator[Picture]:
    """Cases of public data sets, as NPZ files of the MedSAM challenge."""

    def case(name: str) -> Any:
        return np.load(folder / name, allow_pickle=False)

    ct = case("3DBox_CT_totalseg-dicom_1.npz")
    yield Picture("ct", ct["imgs"], ct["boxes"][:3].astype(np.float64), (3, 8, 13, 18), tuple(ct["spacing"]))
    pet = case("3DBox_PET_sts_1.npz")
    boxes = pet["boxes"][:1].astype(np.float64)
    middle = [int(z) for z in np.linspace(boxes[0, 2], boxes[0, 5], 6)[1:-1]]
    yield Picture("pet", pet["imgs"], boxes, tuple(middle), tuple(pet["spacing"]))
    for name, file in (
        ("dermoscopy", "2DBox_Dermoscopy_isic_1.npz"),
        ("microscopy", "2DBox_Microscopy_stardist_1.npz"),
    ):
        found = case(file)
        yield Picture(name, found["imgs"], found["boxes"].astype(np.float64))


def drawn(picture: Picture, side: int, labels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The picture with its objects, boxes and axes; `side` is the longer side of an image or of two slices."""
    numbers = np.arange(1, len(picture.boxes) + 1)
    if picture.slices:
        spacing = picture.spacing or (1.0, 1.0, 1.0)
        x, y, z = (MmScale(name, 0.0, float(step)) for name, step in zip("xyz", spacing, strict=True))
        axes, marks = SliceAxes((spacing[0], spacing[1]), (x, y, z)), Marks(picture.boxes, numbers)
        return contact_sheet(
            picture.pixels, labels, tile=side // 2, opacity=0.3, slices=picture.slices, marks=marks, axes=axes
        )
    x0, y0, x1, y1 = picture.boxes.T
    marks = Marks(np.stack([x0, y0, 0 * x0, x1, y1, 0 * x0], axis=1), numbers)
    return contact_sheet(
        picture.pixels[np.newaxis],
        labels[np.newaxis],
        tile=side,
        opacity=0.3,
        slices=[0],
        marks=marks,
        axes=SliceAxes((1.0, 1.0), is_volume=False),
    )


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG with a palette, a third of the size of a full one; the palette's colors are refined to the picture's."""
    out = io.BytesIO()
    image = Image.fromarray(pixels).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE)
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()


def write(engine: medsam_engine.Engine, picture: Picture, folder: Path) -> None:
    """Segments, and writes the largest picture that keeps to the limit."""
    volume = bool(picture.slices)
    labels = (engine.segment_volume if volume else engine.segment)(np.ascontiguousarray(picture.pixels), picture.boxes)
    for side in SIDES:
        content = encoded(drawn(picture, side, labels))
        if len(content) <= MOST_BYTES:
            break
    (folder / f"{picture.name}.png").write_bytes(content)
    print(f"{picture.name}: {len(picture.boxes)} boxes, {side} pixels, {len(content)} bytes")


def write_start_picture(engine: medsam_engine.Engine, path: Path) -> None:
    """README's picture: the demo's slice before and after, without axes."""
    image, boxes = load_image(), np.array(list(OBJECTS.values()), np.float64)
    gray = np.repeat(image[..., np.newaxis], 3, axis=2)
    framed = draw_overlay(image, np.zeros(image.shape, np.uint8), boxes)
    done = draw_overlay(image, engine.segment(image, boxes), None, opacity=0.4)
    gap = np.full((len(gray), 8, 3), 255, np.uint8)
    path.write_bytes(encoded(np.hstack([framed, gap, done])))


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--cases", type=Path, help="folder with the NPZ cases that docs/gallery.md names")
    args = parser.parse_args()
    folder = ROOT / "docs" / "gallery"
    folder.mkdir(exist_ok=True)
    engine = medsam_engine.Engine(args.bundle)
    write_start_picture(engine, ROOT / "docs" / "overlay.png")
    for picture in package_pictures():
        write(engine, picture, folder)
    for picture in case_pictures(args.cases) if args.cases else ():
        write(engine, picture, folder)


if __name__ == "__main__":
    main()
