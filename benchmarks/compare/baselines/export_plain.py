# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM as a straight port takes it to OpenVINO: the published forward passes through torch's plain ONNX export.

    python -m benchmarks.compare.baselines.export_plain CHECKPOINT FOLDER

Writes FOLDER/encoder.onnx (one image) and FOLDER/decoder.onnx (one box: its inputs `image_embedding` and `boxes`, its
output `low_res_logits`), as the challenge's OpenVINO pipelines have them, with fixed shapes: the case that favors the
baseline.
"""

import argparse
import warnings
from pathlib import Path

import torch
from benchmarks.compare.baselines.plain_model import PlainDecoder, PlainModel, plain_model

OPSET = 17


def export(model: PlainModel, folder: Path) -> None:
    """Writes encoder.onnx and decoder.onnx into `folder`."""
    image = torch.zeros(1, 3, 256, 256)
    box = torch.tensor([[50.0, 75.0, 175.0, 225.0]])
    embedding = model.image_encoder(image)
    folder.mkdir(parents=True, exist_ok=True)
    graphs = (
        ("encoder", model.image_encoder, (image,), ["image"], ["image_embedding"]),
        ("decoder", PlainDecoder(model), (embedding, box), ["image_embedding", "boxes"], ["low_res_logits"]),
    )
    for name, module, example, inputs, outputs in graphs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the exporter's age, and about Python values the trace keeps
            torch.onnx.export(
                module.eval(),
                example,
                str(folder / f"{name}.onnx"),
                dynamo=False,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    export(plain_model(arguments.checkpoint), arguments.folder)


if __name__ == "__main__":
    main()
