# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An engine for the tests of `certify`, which notes what it is asked; and a bundle that says what it has."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from medsam_engine import InvalidArgument

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
HEIGHT, WIDTH = 30, 40

Array = NDArray[Any]


class Prediction:
    """A mask that is its box; one with `short` leaves out the last column."""

    def __init__(self, shape: tuple[int, int], boxes: Array, short: bool) -> None:
        self._shape, self._boxes, self._short = shape, boxes, short

    def mask(self, k: int) -> NDArray[np.bool_]:
        made = np.zeros(self._shape, bool)
        x0, y0, x1, y1 = (int(v) for v in self._boxes[k])
        made[y0 : y1 + 1, x0 : x1 + 1 - self._short] = True
        return made


class StandIn:
    """An engine that notes what it is asked."""

    made: ClassVar[list["StandIn"]] = []

    def __init__(self, bundle: Path, **options: Any) -> None:
        if bundle.name == "refused":
            raise InvalidArgument("precision: got another word")
        self.bundle, self.options = bundle, options
        self.calls: list[tuple[Any, ...]] = []
        self.short = options["precision"] != "f32/f32"
        self.info = SimpleNamespace(
            model_hash="the hash",
            backend="OpenVINO 1",
            device="a processor",
            encoder_backend="kernels 2",
            decoder_backend="decoder kernels 1",
            certificates_file=str(bundle.parent / "cache" / "remembered.json"),
        )
        self.made.append(self)

    def encode(self, pixels: Array, *, modality: str | None) -> tuple[int, int]:
        self.calls.append(("encode", pixels.shape, modality))
        return pixels.shape[0], pixels.shape[1]

    def predict(self, embedding: tuple[int, int], *, box: Array) -> Prediction:
        self.calls.append(("predict", box.tolist()))
        return Prediction(embedding, box, self.short)

    def segment(self, embedding: tuple[int, int], boxes: Array) -> Array:
        self.calls.append(("segment", boxes.tolist()))
        return Prediction(embedding, boxes, self.short).mask(0).astype(np.uint8)

    def segment_volume(self, pixels: Array, boxes: Array, *, modality: str | None) -> Array:
        self.calls.append(("volume", pixels.shape, boxes.tolist(), modality))
        labels = np.zeros(pixels.shape, np.uint8)
        x0, y0, z0, x1, y1, z1 = (int(v) for v in boxes[0])
        labels[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1 - self.short] = 1
        return labels


QUANTIZED = {"file": "encoder_int8.onnx", "sha256": "the int8 hash", "rest": "bf16"}
FUSED = {"file": "encoder.bin", "sha256": "the fused hash"}
DECODER = {"file": "decoder.bin", "sha256": "the decoder's hash"}


def bundle_with_entries(folder: Path) -> Path:
    """The tiny bundle, saying that it has an int8 encoder and fused models."""
    shutil.copytree(TINY, folder)
    file = folder / "manifest.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    fused = {"encoder": FUSED, "decoder": DECODER, "decoder_mask": DECODER}
    content |= {"quantized": {"encoder": QUANTIZED}, "fused": fused, "certificates": []}
    content["provenance"] = {"checkpoint_sha256": "the checkpoint"}
    file.write_text(json.dumps(content), encoding="utf-8")
    return folder
