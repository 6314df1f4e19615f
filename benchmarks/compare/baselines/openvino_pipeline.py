# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Baseline (c): the published graphs in OpenVINO f32, from Python; a volume's slices encoded once.

    python -m benchmarks.compare.baselines.openvino_pipeline -i CASES -o MASKS --model FOLDER --cache-dir FOLDER

FOLDER holds encoder.xml and decoder.xml (to_openvino.py).
"""

import argparse

import numpy as np
import openvino as ov
from benchmarks.compare.baselines.pipeline import Size, main, threshold
from numpy.typing import NDArray


class OpenVinoModel:
    """Settings as the challenge's OpenVINO systems have them (hieplpvip/medficientsam:cpp/src/main.cpp)."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        core = ov.Core()
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "PERFORMANCE_HINT_NUM_REQUESTS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
        }
        if arguments.threads:
            settings["INFERENCE_NUM_THREADS"] = arguments.threads
        if arguments.cache_dir:
            settings["CACHE_DIR"] = str(arguments.cache_dir)
        self._encoder, self._decoder = (
            core.compile_model(arguments.model / name, "CPU", settings).create_infer_request()
            for name in ("encoder.xml", "decoder.xml")
        )

    def encode(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """As Model."""
        self._encoder.infer([image], share_inputs=True)
        return np.array(self._encoder.get_output_tensor(0).data)  # OpenVINO's own buffer is written again

    def decode(
        self, embedding: NDArray[np.float32], box: NDArray[np.float32], new_size: Size, original_size: Size
    ) -> NDArray[np.bool_]:
        """As Model."""
        self._decoder.infer({"image_embedding": embedding, "boxes": box}, share_inputs=True)
        return threshold(self._decoder.get_output_tensor(0).data[0, 0], new_size, original_size)


if __name__ == "__main__":
    main(str(__doc__), OpenVinoModel, "folder of encoder.xml and decoder.xml", reuse_embeddings=True)
