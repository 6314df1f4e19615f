# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a client's box costs while another client's volume is encoded in the background.

``python -m benchmarks.serve.neighbor --bundle build/bundles/litemedsam``: client A sends a CT of 120 slices and waits;
client B draws boxes on an encoded slice of its own picture, first alone and then beside A.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serve.load import connected, open_image, phantom
from benchmarks.serve.server import server

from medsam_engine import io
from medsam_engine.io.medical_image import MedicalImage


def boxes(client: Any, count: int) -> np.ndarray[Any, Any]:
    """The ms of boxes on one slice, each taken back, with a pause as a person makes it."""
    took = []
    for n in range(count + 1):
        began = time.perf_counter()
        client.add_bbox_interaction([[0, 1], [180, 300], [125 - n % 7, 275 + n % 5]], True)
        took.append((time.perf_counter() - began) * 1000)
        client.undo()
        time.sleep(0.2)
    return np.array(took[1:])  # the first one may have encoded the slice


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.neighbor", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--boxes", type=int, default=60)
    given = parser.parse_args()
    values = phantom()
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.nii.gz"
        picture = values[60:61]
        io.write(
            scan,
            (picture + 1100).astype(np.uint16),
            MedicalImage(picture, (0.8, 0.8, 2.5), (0.0, 0.0, 0.0), np.eye(3), "CT", scan),
        )
        with server(given.bundle, scan) as running:
            second = connected(running.port)
            second.set_image(picture[np.newaxis], {"spacing": [2.5, 0.8, 0.8]})
            second.set_target_buffer(np.zeros(picture.shape, np.uint8))
            second.set_do_autozoom(False)
            alone = boxes(second, given.boxes)
            first = open_image(running.port, values)  # its volume is encoded from now on
            beside = boxes(second, given.boxes)
            first.close()
            second.close()
    for what, took in (("alone", alone), ("while another client's volume is encoded", beside)):
        p50, p95 = np.percentile(took, [50, 95])
        print(f"box on an encoded slice, {what}: p50 {p50:.1f} ms, p95 {p95:.1f} ms ({len(took)} boxes, client)")


if __name__ == "__main__":
    main()
