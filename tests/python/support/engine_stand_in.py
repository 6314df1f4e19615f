# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the command asks of an Engine besides labels, for tests that put their own labels in its place."""

import math
from types import SimpleNamespace
from typing import Any

from medsam_engine import Segmentation, SegmentedObject


class EngineStandIn:
    """Derive from it and write `segment` and `segment_volume`: labels alone, without statistics."""

    info = SimpleNamespace(
        family="stand-in",
        model_hash="0" * 64,
        profile="clinical",
        precision="f32",
        encoder_precision="f32",
        decoder_precision="f32",
        device="none",
        backend="none",
        threads=0,
        tuned=False,
        certificates=(),
    )

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def check_prompt(self, *_: object, **__: object) -> None:
        pass

    def segment_objects(self, image: Any, boxes: Any, **options: Any) -> Segmentation:
        return self._objects(self.segment(image, boxes, **options), boxes)  # type: ignore[attr-defined]  # of the derived class

    def segment_volume_objects(
        self, volume: Any, boxes: Any, *, planes: str = "slices", spacing: object = None, **options: Any
    ) -> Segmentation:
        assert planes == "slices", f"no stand-in knows {planes} planes; spacing {spacing}"
        return self._objects(self.segment_volume(volume, boxes, **options), boxes)  # type: ignore[attr-defined]  # of the derived class

    @staticmethod
    def _objects(labels: Any, boxes: Any) -> Segmentation:
        return Segmentation(labels, tuple(SegmentedObject(k + 1, 0, None, math.nan) for k in range(len(boxes))))
