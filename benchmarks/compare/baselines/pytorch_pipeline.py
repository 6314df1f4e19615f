# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Baseline (a): the published way, PyTorch eager, a slice encoded anew for every object.

python -m benchmarks.compare.baselines.pytorch_pipeline -i CASES -o MASKS --checkpoint lite_medsam.pth
"""

import argparse

import numpy as np
import torch
from benchmarks.compare.baselines.pipeline import Size, main
from benchmarks.compare.baselines.plain_model import PlainDecoder, plain_model
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


class PyTorchModel:
    """The released weights in the published forward passes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        if arguments.threads:
            torch.set_num_threads(arguments.threads)
        model = plain_model(arguments.model)
        self._encoder, self._decoder = model.image_encoder, PlainDecoder(model).eval()

    @torch.no_grad()
    def encode(self, image: NDArray[np.float32]) -> Tensor:
        """As Model."""
        embedding: Tensor = self._encoder(torch.from_numpy(image))
        return embedding

    @torch.no_grad()
    def decode(
        self, embedding: Tensor, box: NDArray[np.float32], new_size: Size, original_size: Size
    ) -> NDArray[np.bool_]:
        """As Model; crop, bilinear, sigmoid, > 0.5 as the script has them."""
        logits = self._decoder(embedding, torch.from_numpy(box))[..., : new_size[0], : new_size[1]]
        logits = functional.interpolate(logits, size=original_size, mode="bilinear", align_corners=False)
        mask: NDArray[np.bool_] = torch.sigmoid(logits).squeeze().numpy() > 0.5
        return mask


if __name__ == "__main__":
    main(str(__doc__), PyTorchModel, "the released checkpoint", reuse_embeddings=False)
