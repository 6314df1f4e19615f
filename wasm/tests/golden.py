# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes what the native engine answers for open images, for engine.test.js: ``golden.py BUNDLE DATA OUT``.

OUT receives cases.json and, per case, the image, its embedding and the labels of its boxes as raw arrays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from medsam_engine import Engine, Session

CASES = ("2DBox_US_busi_1", "2DBox_XRay_imlab-cxr_1", "2DBox_Dermoscopy_isic_1", "3DBox_MR_pyradiomics-brain_1")


def main(bundle: str, data: Path, out: Path) -> None:
    """Answers every case with a native engine in f32."""
    engine = Engine(bundle)
    out.mkdir(parents=True, exist_ok=True)
    cases = []
    for name in CASES:
        with np.load(data / f"{name}.npz") as case:
            image, boxes = case["imgs"], case["boxes"]
        if boxes.shape[1] == 6:  # of a volume, the middle slice of its first box
            image = image[int(boxes[0, 2] + boxes[0, 5]) // 2]
            boxes = boxes[:1, [0, 1, 3, 4]]
        image = np.ascontiguousarray(image)
        embedding = engine.encode(image)
        labels = engine.segment(image, boxes.astype(float))
        session = Session(engine, image)
        session.add_box("object", [float(v) for v in boxes[0]])
        image.tofile(out / f"{name}.image")
        np.asarray(embedding.array, np.float32).tofile(out / f"{name}.embedding")
        labels.astype(np.uint16).tofile(out / f"{name}.labels")
        np.asarray(session.mask("object"), np.uint8).tofile(out / f"{name}.session")
        cases.append(
            {
                "name": name,
                "height": image.shape[0],
                "width": image.shape[1],
                "channels": 1 if image.ndim == 2 else image.shape[2],
                "boxes": boxes.tolist(),
            }
        )
    (out / "cases.json").write_text(json.dumps({"fingerprint": engine.info.fingerprint, "cases": cases}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
