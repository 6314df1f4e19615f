# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine against OpenVINO's own Python API doing the two inferences alone: what our pixels, prompts and masks cost.

    python -m benchmarks.studies.compare_openvino BUNDLE [--repeats 15] [--threads N]

Same model files, precision f32, latency hint, same number of threads, one process. The two sides take turns (A B A B),
so a noisy machine hits both; medians and their ratio are printed. OpenVINO's side gets ready-made tensors: it resizes,
normalizes and thresholds nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding

BOX = [200, 300, 700, 900]


class OpenVino:
    """Encoder and decoder through OpenVINO's Python API, as its documentation has them."""

    def __init__(self, bundle: Path, threads: int) -> None:
        core = ov.Core()
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        encoder = core.read_model(bundle / "encoder.onnx")
        size = encoder.input(0).partial_shape[2].get_length()
        encoder.reshape({0: [1, 3, size, size]})
        decoder = core.read_model(bundle / "decoder.onnx")
        self.encoder = core.compile_model(encoder, "CPU", settings).create_infer_request()
        self.decoder = core.compile_model(decoder, "CPU", settings).create_infer_request()
        self.image = np.random.default_rng(0).random((1, 3, size, size), np.float32)
        self.prompt = {
            "point_coords": np.array([[[50, 75], [175, 225]]], np.float32),
            "point_labels": np.array([[2, 3]], np.int32),
            "mask_index": np.array([0], np.int32),
        }
        self.embedding = self.encode()

    def encode(self) -> NDArray[np.float32]:
        """The image embedding, copied out of OpenVINO's buffer."""
        self.encoder.infer([self.image])
        return np.array(self.encoder.get_output_tensor(0).data)

    def decode(self) -> None:
        """One box."""
        self.decoder.infer({"image_embedding": self.embedding, **self.prompt})

    def both(self) -> None:
        """The two inferences of one image and one box."""
        self.embedding = self.encode()
        self.decode()


def interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each side, taking turns after one warm-up each."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for call in sides.values():
        call()
    for _ in range(repeats):
        for name, call in sides.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, medians: dict[str, float]) -> None:
    first, second = medians
    difference = (medians[first] - medians[second]) * 1e3
    print(f"{title}:")
    for name, seconds in medians.items():
        print(f"  {name:<34} {seconds * 1e3:9.2f} ms")
    print(f"  ratio {medians[first] / medians[second]:.3f}, difference {difference:+.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    engine = Engine(arguments.bundle, threads=arguments.threads, cache_bytes=0)
    vendor = OpenVino(arguments.bundle, arguments.threads)
    image = np.random.default_rng(1).integers(0, 255, (1024, 1024, 3)).astype(np.uint8)
    mammogram = np.random.default_rng(2).integers(0, 255, (2600, 1700, 3)).astype(np.uint8)
    embedding = engine.encode(image)

    def one_box(pixels: NDArray[np.uint8]) -> None:
        engine.predict(engine.encode(pixels), box=BOX).mask(0)

    def next_prompt(cached: ImageEmbedding) -> None:
        engine.predict(cached, box=BOX).mask(0)

    print(f"{engine.info}, threads {arguments.threads or 'all'}, {arguments.repeats} repeats")
    few = arguments.repeats
    report(
        "encode + one box, 1024 x 1024 image to mask",
        interleaved({"Engine": lambda: one_box(image), "OpenVINO, two inferences": vendor.both}, few),
    )
    report(
        "encode + one box, 2600 x 1700 image to mask",
        interleaved({"Engine": lambda: one_box(mammogram), "OpenVINO, two inferences": vendor.both}, few),
    )
    report(
        "next prompt on an embedding, to a 1024 x 1024 mask",
        interleaved({"Engine": lambda: next_prompt(embedding), "OpenVINO, decoder": vendor.decode}, 4 * few),
    )


if __name__ == "__main__":
    main()
