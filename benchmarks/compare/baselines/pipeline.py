# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM's published inference script over any runtime: a folder of challenge cases in, a folder of masks out.

The rules are bowang-lab/MedSAM LiteMedSAM:CVPR24_LiteMedSAM_infer.py's (docs/profiles.md, `litemedsam`): resize of the
longest side to 256 by cv2's INTER_AREA, min-max, zero padding, box coordinates truncated; in a volume every object
starts at its middle slice and takes the next box from the previous slice's label map, resized as the image is, grown
by 3. Left out is what costs the script time and makes no mask: the overlay that it draws of every image, matplotlib,
pandas.

A runtime is a Model, or a BatchModel where it runs several at a time. `reuse_embeddings` is the one liberty: the script
encodes a slice anew for every object, its successors once a volume.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
BOX_SHIFT = 3

Size: TypeAlias = tuple[int, int]


class Model(Protocol):
    """An image encoder and a mask decoder."""

    def encode(self, image: NDArray[np.float32]) -> Any:
        """(1, 3, 256, 256) float32 in [0, 1], padded -> an embedding that stays valid after the next encode."""

    def decode(
        self, embedding: Any, box: NDArray[np.float32], new_size: Size, original_size: Size
    ) -> NDArray[np.bool_]:
        """Box (1, 4) float32 xyxy in the 256 frame -> the mask (H, W) of the original image."""


@runtime_checkable
class BatchModel(Protocol):
    """A Model that also takes what does not depend on each other at once."""

    def encode_all(self, images: Iterable[NDArray[np.float32]]) -> list[Any]:
        """As Model.encode of each; takes the next image when there is room for it."""

    def decode_all(
        self, embedding: Any, boxes: list[NDArray[np.float32]], new_size: Size, original_size: Size
    ) -> list[NDArray[np.bool_]]:
        """As Model.decode of each."""


def decode_boxes(
    model: Model, embedding: Any, boxes: NDArray[np.generic], new_size: Size, size: Size
) -> Iterable[NDArray[np.bool_]]:
    """The masks (H, W) of the boxes of one image, in their order."""
    framed = [box_256(box, size) for box in boxes]
    if isinstance(model, BatchModel):
        return model.decode_all(embedding, framed, new_size, size)
    return (model.decode(embedding, box, new_size, size) for box in framed)


def resize_longest_side(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) -> the same with its longest side 256."""
    scale = SIDE / max(image.shape[:2])
    height, width = (int(side * scale + 0.5) for side in image.shape[:2])
    resized: NDArray[np.uint8] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return resized


def preprocess(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Size]:
    """(H, W, 3) -> the encoder's input and the size of the image in it."""
    small = resize_longest_side(image)
    height, width = small.shape[:2]
    spread = np.clip(small.max() - small.min(), 1e-8, None)
    padded = np.zeros((SIDE, SIDE, 3))
    padded[:height, :width] = (small - small.min()) / spread
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[np.newaxis], dtype=np.float32), (height, width)


def threshold(logits: NDArray[np.float32], new_size: Size, original_size: Size) -> NDArray[np.bool_]:
    """Logits (256, 256), cropped to the image and resized by cv2 -> mask (H, W), as the OpenVINO pipelines do it."""
    cropped = np.ascontiguousarray(logits[: new_size[0], : new_size[1]])
    mask: NDArray[np.bool_] = cv2.resize(cropped, original_size[::-1], interpolation=cv2.INTER_LINEAR) > 0
    return mask


def box_256(box: NDArray[np.generic], original_size: Size) -> NDArray[np.float32]:
    """A box of the original image in the 256 frame, truncated."""
    ratio = SIDE / max(original_size)
    return np.array([[int(float(v) * ratio) for v in box]], dtype=np.float32)


def box_of_labels(labels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The next box from a slice's label map (H, W); None where nothing is left of it at 256."""
    small = resize_longest_side(labels)
    if not small.any():
        return None
    rows, columns = np.nonzero(small)
    low = [max(0, int(axis.min()) - BOX_SHIFT) for axis in (columns, rows)]
    high = [min(SIDE, int(axis.max()) + BOX_SHIFT) for axis in (columns, rows)]
    return np.array([[*low, *high]], dtype=np.float32)


def segment_image(model: Model, image: NDArray[np.uint8], boxes: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Label k + 1 where boxes[k]'s mask is; uint16, for a microscopy image has more than 255 boxes."""
    size = image.shape[:2]
    pixels, new_size = preprocess(image)
    embedding = model.encode(pixels)
    segs = np.zeros(size, dtype=np.uint16)
    for label, mask in enumerate(decode_boxes(model, embedding, boxes, new_size, size), start=1):
        segs[mask] = label
    return segs


class Slices:
    """Embeddings of a volume's slices, made when asked for; kept, or made again every time."""

    def __init__(self, model: Model, volume: NDArray[np.uint8], keep: bool) -> None:
        self._model, self._volume, self._keep = model, volume, keep
        self._made: dict[int, tuple[Any, Size]] = {}

    def prepare(self, boxes: NDArray[np.generic]) -> None:
        """Embeds all slices of the boxes (N, 6) at once, where the model can and embeddings are kept."""
        if not self._keep or not isinstance(self._model, BatchModel):
            return
        deepest = len(self._volume) - 1
        wanted = sorted({z for b in boxes for z in range(int(b[2]), min(int(b[5]), deepest) + 1)})
        sizes: list[Size] = []

        def images() -> Iterable[NDArray[np.float32]]:
            for z in wanted:
                pixels, new_size = self._pixels(z)
                sizes.append(new_size)
                yield pixels

        embeddings = self._model.encode_all(images())
        self._made = dict(zip(wanted, zip(embeddings, sizes, strict=True), strict=True))

    def _pixels(self, z: int) -> tuple[NDArray[np.float32], Size]:
        return preprocess(np.repeat(self._volume[z][:, :, np.newaxis], 3, axis=-1))

    def embedding(self, z: int) -> tuple[Any, Size]:
        """The embedding of slice z, and the size of the slice in the encoder's input."""
        if z in self._made:
            return self._made[z]
        pixels, new_size = self._pixels(z)
        made = self._model.encode(pixels), new_size
        if self._keep:
            self._made[z] = made
        return made


def segment_volume(
    model: Model, volume: NDArray[np.uint8], boxes: NDArray[np.generic], reuse_embeddings: bool
) -> NDArray[np.uint16]:
    """Label k + 1 in the voxels of boxes[k]'s object."""
    depth, size = len(volume), volume.shape[1:]
    segs = np.zeros(volume.shape, dtype=np.uint16)
    slices = Slices(model, volume, reuse_embeddings)
    slices.prepare(boxes)
    for label, box in enumerate(boxes, start=1):
        x0, y0, z0, x1, y1, z1 = (int(v) for v in box)
        user = box_256(np.array([x0, y0, x1, y1]), size)
        own = np.zeros(volume.shape, dtype=np.uint8)
        middle = (z1 - z0) // 2 + z0
        for z, previous in [
            *((z, z - 1) for z in range(middle, min(z1, depth - 1) + 1)),
            *((z, z + 1) for z in range(middle - 1, z0 - 1, -1)),
        ]:
            embedding, new_size = slices.embedding(z)
            box_now = user if z == middle else box_of_labels(own[previous])
            mask = model.decode(embedding, user if box_now is None else box_now, new_size, size)
            own[z, mask] = min(label, 255)
        segs[own > 0] = label
    return segs


def run_folder(model: Model, cases: Path, out: Path, reuse_embeddings: bool) -> None:
    """Segments every NAME.npz of `cases` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(cases.glob("*.npz")):
        with np.load(path) as data:
            pixels, boxes = data["imgs"], data["boxes"]
        if path.name.startswith("3DBox_"):
            segs = segment_volume(model, pixels, boxes, reuse_embeddings)
        else:
            segs = segment_image(model, pixels, boxes)
        np.savez_compressed(out / path.name, segs=segs)


class PipelineStages:
    """The stages of a Model on one image."""

    def __init__(self, model: Model, case: Path) -> None:
        with np.load(case) as data:
            self._image, self._boxes = data["imgs"], data["boxes"]
        self._model, self._size = model, self._image.shape[:2]
        self.encode()

    def encode(self) -> None:
        """Pixels to embedding."""
        pixels, self._new_size = preprocess(self._image)
        self._embedding = self._model.encode(pixels)

    def prompt(self) -> None:
        """One box to one mask."""
        self._mask(self._boxes[0])

    def batch(self) -> None:
        """All boxes to a mask each; at once where the model can."""
        list(decode_boxes(self._model, self._embedding, self._boxes, self._new_size, self._size))

    def _mask(self, box: NDArray[np.generic]) -> NDArray[np.bool_]:
        return self._model.decode(self._embedding, box_256(box, self._size), self._new_size, self._size)


def main(
    description: str,
    load: Callable[[argparse.Namespace], Model],
    model_help: str,
    reuse_embeddings: bool,
    add_options: Callable[[argparse.ArgumentParser], None] = lambda _: None,
) -> None:
    """The command line that the baselines share: a folder run, or the stages on request; `add_options` adds others."""
    from benchmarks.compare.baselines.stages import serve

    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input", type=Path, help="folder of cases")
    parser.add_argument("-o", "--output", type=Path, help="folder of masks")
    parser.add_argument("--model", "--checkpoint", type=Path, required=True, help=model_help)
    parser.add_argument("--cache-dir", type=Path, help="compiled models, where the runtime keeps any")
    parser.add_argument("--threads", type=int, default=0, help="0 = the runtime's own choice")
    parser.add_argument("--stages", type=Path, metavar="CASE", help="time the stages on CASE instead; see stages.py")
    add_options(parser)
    arguments = parser.parse_args()
    if not arguments.stages and not (arguments.input and arguments.output):
        parser.error("expected -i FOLDER and -o FOLDER, or --stages CASE")
    model = load(arguments)
    if arguments.stages:
        serve(PipelineStages(model, arguments.stages))
    else:
        run_folder(model, arguments.input, arguments.output, reuse_embeddings)
