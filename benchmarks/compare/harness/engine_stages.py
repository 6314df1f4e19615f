# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine's stages through its Python API, in the protocol of stages.py.

python -m benchmarks.compare.harness.engine_stages --bundle BUNDLE --precision f32 --stages CASE
"""

import argparse
from pathlib import Path

import numpy as np
from benchmarks.compare.baselines.stages import serve

from medsam_engine import Engine


class EngineStages:
    """Engine calls on one image; the cache of embeddings is off, so an encode is one."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        with np.load(arguments.stages) as data:
            self._image, self._boxes = data["imgs"], data["boxes"]
        self._engine = Engine(
            arguments.bundle,
            precision=arguments.precision,
            threads=arguments.threads,
            profile="litemedsam",
            cache_dir=arguments.cache_dir,
            cache_bytes=0,
        )
        self.encode()

    def encode(self) -> None:
        """Pixels to embedding."""
        self._embedding = self._engine.encode(self._image)

    def prompt(self) -> None:
        """One box to one mask."""
        self._engine.predict(self._embedding, box=self._boxes[0]).mask(0)

    def batch(self) -> None:
        """All boxes in one call, then a mask each."""
        prediction = self._engine.predict(self._embedding, box=self._boxes)
        for n in range(len(self._boxes)):
            prediction.mask(n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--stages", type=Path, required=True, metavar="CASE")
    serve(EngineStages(parser.parse_args()))


if __name__ == "__main__":
    main()
