# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Baseline (f): the published graphs in OpenVINO with every setting that makes them faster, from Python.

    python -m benchmarks.compare.baselines.openvino_tuned_pipeline -i CASES -o MASKS --model FOLDER --cache-dir FOLDER

FOLDER holds encoder.xml and decoder.xml (to_openvino.py). --precision f32 leaves bf16 out.

One image and one box are asked for with the latency hint; boxes of one image and slices of a volume with the throughput
hint and asynchronous requests, one per stream. An object's slices still follow one another, since each box comes from
the mask before. Not used is PrePostProcessor: of a published image, OpenCV's INTER_AREA and the range of its pixels are
no steps of it, and the rest is under 1 % of an encode.
"""

import argparse
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov
from benchmarks.compare.baselines.pipeline import Size, main, threshold
from numpy.typing import NDArray

EMBEDDING = (1, 256, 64, 64)


class TunedOpenVinoModel:
    """Both graphs, each compiled for latency and, where there is a batch, for throughput."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._core, self._folder = ov.Core(), arguments.model
        precision = arguments.precision
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            precision = "f32"  # elsewhere bf16 is emulated
        self._settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": precision,
            "EXECUTION_MODE_HINT": "PERFORMANCE",
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
        if arguments.threads:
            self._settings["INFERENCE_NUM_THREADS"] = arguments.threads
        if arguments.cache_dir:
            self._settings["CACHE_DIR"] = str(arguments.cache_dir)

    def _compiled(self, name: str, hint: str) -> Any:
        return self._core.compile_model(
            self._folder / f"{name}.xml", "CPU", self._settings | {"PERFORMANCE_HINT": hint}
        )

    # Compiled when first asked for: most cases need two of the four.
    @cached_property
    def _encoding(self) -> Any:
        return self._compiled("encoder", "LATENCY").create_infer_request()

    @cached_property
    def _decoding(self) -> Any:
        return self._compiled("decoder", "LATENCY").create_infer_request()

    @cached_property
    def _encoders(self) -> Any:
        return ov.AsyncInferQueue(self._compiled("encoder", "THROUGHPUT"))  # as many requests as there are streams

    @cached_property
    def _decoders(self) -> Any:
        return ov.AsyncInferQueue(self._compiled("decoder", "THROUGHPUT"))

    def encode(self, image: NDArray[np.float32]) -> ov.Tensor:
        """As Model."""
        embedding = ov.Tensor(ov.Type.f32, ov.Shape(EMBEDDING))
        self._encoding.set_output_tensor(embedding)  # written where it stays
        self._encoding.infer([image], share_inputs=True)
        return embedding

    def encode_all(self, images: Iterable[NDArray[np.float32]]) -> list[ov.Tensor]:
        """As BatchModel."""
        embeddings: list[ov.Tensor] = []
        queue = self._encoders
        for image in images:
            request = queue[queue.get_idle_request_id()]
            embeddings.append(ov.Tensor(ov.Type.f32, ov.Shape(EMBEDDING)))
            request.set_output_tensor(embeddings[-1])
            request.set_input_tensor(ov.Tensor(image))  # a copy: the caller's is gone before it is read
            queue.start_async()
        queue.wait_all()
        return embeddings

    def decode(
        self, embedding: ov.Tensor, box: NDArray[np.float32], new_size: Size, original_size: Size
    ) -> NDArray[np.bool_]:
        """As Model."""
        self._decoding.infer({"image_embedding": embedding, "boxes": box}, share_inputs=True)
        return threshold(self._decoding.get_output_tensor(0).data[0, 0], new_size, original_size)

    def decode_all(
        self, embedding: ov.Tensor, boxes: list[NDArray[np.float32]], new_size: Size, original_size: Size
    ) -> list[NDArray[np.bool_]]:
        """As BatchModel."""
        if len(boxes) == 1:
            return [self.decode(embedding, boxes[0], new_size, original_size)]
        masks: dict[int, NDArray[np.bool_]] = {}

        def finish(request: Any, index: int) -> None:
            masks[index] = threshold(request.get_output_tensor(0).data[0, 0], new_size, original_size)

        queue = self._decoders
        queue.set_callback(finish)
        for index, box in enumerate(boxes):
            queue.start_async({"image_embedding": embedding, "boxes": box}, userdata=index)
        queue.wait_all()
        return [masks[index] for index in range(len(boxes))]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this baseline alone."""
    parser.add_argument("--precision", choices=("bf16", "f32"), default="bf16", help="bf16 where the processor has it")


if __name__ == "__main__":
    main(str(__doc__), TunedOpenVinoModel, "folder of encoder.xml and decoder.xml", True, add_options)
