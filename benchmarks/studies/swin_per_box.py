# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Swin-LiteMedSAM's cost a box: the exported decoder against a plain port of the published one.

The plain port takes the raw embedding and the four feature maps and does the published work for every box: the neck,
the concatenations, both 1x1 convolutions whole. Everything else (transformer, prompt encoder) is ours in both, so the
ratio shows the encode-time terms and the token-major up-scaling alone. Untrained weights: the time does not depend on
them.

    .venv/bin/python benchmarks/studies/swin_per_box.py [--threads 2] [--boxes 1 4 16] [--runs 31]

Needs the extra [export]. Interleaved runs, medians, OpenVINO f32.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export import onnx_export, parity
from medsam_engine_tools.export.families import swin_litemedsam
from medsam_engine_tools.export.family import Graph, TensorSpec
from medsam_engine_tools.export.nn.swin_decoder import SwinMaskDecoder
from medsam_engine_tools.export.sam import Sam, smooth_maps

BOX_AND_POINTS = (1, 1, 1, 1, 2, 3)  # labels of the tokens of a box as the family asks
Array = NDArray[np.generic]


class PlainDecoder(nn.Module):
    """RuochenGao/Swin_LiteMedSAM models/mask_decoder.py:MaskDecoder_Prompt in its own order of work."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        assert isinstance(sam.mask_decoder, SwinMaskDecoder)
        self.prompt_encoder, self.decoder = sam.prompt_encoder, sam.mask_decoder

    def forward(
        self,
        embedding: Tensor,
        skip0: Tensor,
        skip1: Tensor,
        skip2: Tensor,
        skip3: Tensor,
        coords: Tensor,
        labels: Tensor,
        mask_index: Tensor,
        mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The inputs of the exported decoder, with the encoder's maps in place of its terms."""
        large, *small = (skip.expand(coords.shape[0], -1, -1, -1) for skip in (skip0, skip1, skip2, skip3))
        image = embedding.flatten(2).transpose(1, 2) + self.prompt_encoder.dense(mask_input)
        sparse = self.prompt_encoder.tokens(coords, labels)
        tokens, image = self.decoder.attend(image, self.prompt_encoder.dense_positions(), sparse)
        kernels, iou = self.decoder.predictions(tokens, mask_index)
        x = image.transpose(1, 2).reshape(-1, *embedding.shape[1:])
        x = torch.cat([x, self.decoder.neck(torch.cat(small, dim=1))], dim=1)
        x = torch.cat([functional.gelu(self.decoder.output_upscaling1(x)), large], dim=1)
        x = functional.gelu(self.decoder.output_upscaling2(x))
        return (kernels @ x.flatten(2)).view(-1, kernels.shape[1], *x.shape[2:]), iou


def export_both(folder: Path) -> dict[str, tuple[Path, list[Array]]]:
    """The two decoders as ONNX files, each with its inputs about one image."""
    torch.manual_seed(0)
    sam = swin_litemedsam.build().eval().requires_grad_(False)
    ours = {graph.key: graph for graph in swin_litemedsam.graphs(sam)}["decoder_mask"]
    image = smooth_maps(3, swin_litemedsam.INPUT_SIZE)[None]
    embedding, skips = sam.image_encoder(image)
    raw = [embedding, *skips]
    prompt_inputs = ours.inputs[-4:]
    maps = tuple(TensorSpec(f"map{i}", "f32", tuple(tensor.shape)) for i, tensor in enumerate(raw))
    case = (*raw, *ours.cases[0][-4:])
    plain = Graph("plain", PlainDecoder(sam), (*maps, *prompt_inputs), ours.outputs, (case,))
    terms = swin_litemedsam.Encoder(sam)(image)[:3]
    answers = {}
    for name, graph, tensors in (("ours", ours, terms), ("plain", plain, raw)):
        path = folder / f"{name}.onnx"
        onnx_export.write_onnx(graph, path, ("benchmark", "0"))
        answers[name] = (path, [tensor.numpy() for tensor in tensors])
    return answers


def prompts(count: int) -> list[Array]:
    """`count` prompts of four points, a box and a scribble."""
    rng = np.random.default_rng(0)
    coords = rng.uniform(20, 230, (count, len(BOX_AND_POINTS), 2)).astype(np.float32)
    scribble = np.zeros((count, 1, 256, 256), np.float32)
    scribble[:, :, 100:130, 100:104] = 1
    labels = np.array([BOX_AND_POINTS] * count, np.int32)
    return [coords, labels, np.zeros(1, np.int32), scribble]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 4, 16], help="boxes in one call")
    parser.add_argument("--runs", type=int, default=31)
    options = parser.parse_args()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": options.threads,
    }
    core = openvino.Core()
    print(core.get_property("CPU", "FULL_DEVICE_NAME"), f"{options.threads} threads, {options.runs} runs")
    with tempfile.TemporaryDirectory() as folder:
        models = {
            name: (core.compile_model(path, "CPU", settings).create_infer_request(), image)
            for name, (path, image) in export_both(Path(folder)).items()
        }
        for count in options.boxes:
            asked = prompts(count)
            times: dict[str, list[float]] = {name: [] for name in models}
            logits = {}
            for run in range(options.runs + 1):
                for name, (request, image) in models.items():
                    start = time.perf_counter()
                    request.infer([*image, *asked])
                    if run > 0:  # the first is a warm-up
                        times[name].append((time.perf_counter() - start) * 1e3 / count)
                    logits[name] = np.array(request.get_output_tensor(0).data, copy=True)
            ours, plain = (statistics.median(times[name]) for name in ("ours", "plain"))
            error = parity.relative_error(logits["ours"], logits["plain"])
            print(
                f"{count:3d} boxes a call: {ours:6.1f} ms a box, plain port {plain:6.1f}, ratio {ours / plain:.2f},"
                f" logits differ by {error:.1e}"
            )


if __name__ == "__main__":
    main()
