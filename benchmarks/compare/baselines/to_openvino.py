# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""encoder.onnx and decoder.onnx as OpenVINO's own files, f32, which the challenge's systems ship.

python -m benchmarks.compare.baselines.to_openvino FOLDER
"""

import argparse
from pathlib import Path

import openvino as ov


def convert(folder: Path) -> None:
    """Writes encoder.xml and decoder.xml with their weights beside the ONNX files."""
    for name in ("encoder", "decoder"):
        model = ov.Core().read_model(folder / f"{name}.onnx")
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    convert(parser.parse_args().folder)
