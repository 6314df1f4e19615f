# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What an encode takes of an image that does not fill its square, beside one that does.

    python -m benchmarks.studies.padding BUNDLE [--precision bf16_fused/f32] [--threads 1] [--repeats 15]

The pictures are noise, so that nothing of them is black but their borders. All take turns (A B C A B C), after one
round that does not count; medians in ms are printed, of the clock and of the processor time of all threads, and the
latter's share of the square's. Resizing is part of an encode and takes longer for larger pictures, by less than 1 ms.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine


def pictures() -> dict[str, NDArray[np.uint8]]:
    """(height, width, 3) each."""
    noise = np.random.default_rng(0).integers(1, 256, (512, 512, 3), np.uint8)
    framed = np.zeros_like(noise)
    framed[60:440, 80:420] = noise[60:440, 80:420]
    return {
        "512 x 512": noise,
        "512 x 320": noise[:320],
        "320 x 512": noise[:, :320],
        "171 x 224": noise[:224, :171],
        "512 x 512, 49 % of it not black": framed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--precision", default="f32", help="of the engine")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    engine = Engine(args.bundle, precision=args.precision, threads=args.threads, cache_bytes=0, allow_uncertified=True)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pictures()}
    for _ in range(args.repeats + 1):
        for name, picture in pictures().items():
            wall, cpu = time.perf_counter(), time.process_time()
            engine.encode(picture)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    medians = {name: 1e3 * np.median(values[1:], axis=0) for name, values in times.items()}
    square = next(iter(medians.values()))[1]
    print(f"{engine.info.encoder_precision}, {args.threads} threads, {args.repeats} runs")
    for name, (wall, cpu) in medians.items():
        print(f"{name:32} {wall:6.1f} ms, processor {cpu:6.1f} ms, {cpu / square:.3f}")


if __name__ == "__main__":
    main()
