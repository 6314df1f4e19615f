# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One whole process: imports the package, loads a model and segments one image with one box.

It uses only what every version promises (docs/versioning.md), because it runs over the base's package, too. With
`--describe`, it says as JSON what it ran in.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from medsam_engine import Engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cache-dir", type=Path, required=True)
    parser.add_argument("--describe", action="store_true")
    parser.add_argument("case", type=Path)
    arguments = parser.parse_args()
    with np.load(arguments.case) as data:
        image, boxes = data["imgs"], data["boxes"]
    engine = Engine(
        arguments.bundle,
        precision=arguments.precision,
        threads=arguments.threads,
        profile="litemedsam",
        cache_dir=arguments.cache_dir,
    )
    engine.predict(engine.encode(image), box=boxes[0]).mask(0)
    if arguments.describe:
        info = engine.info
        print(json.dumps({"encoder": info.encoder_precision, "decoder": info.decoder_precision}))


if __name__ == "__main__":
    main()
