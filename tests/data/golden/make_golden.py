# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs the published code once on stand-in weights and keeps a part of its outputs; see README.md beside this file.

make_golden.py SOURCES OUT [CASE ...]: SOURCES holds checkouts `efficientvit` and `MobileSAM` and an unpacked wheel
`segment_anything-1.0`. Nothing of them is kept here.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import stand_in
import torch

# Imported on the way, not used to predict.
ABSENT = ("torchvision", "timm", "triton", "omegaconf", "matplotlib", "pycocotools", "efficientvit.apps")


PRESENT = {  # what building the models calls
    "to_2tuple": lambda value: (value, value),
    "trunc_normal_": torch.nn.init.trunc_normal_,
    "register_model": lambda function: function,
    "Compose": lambda _: None,
    "Normalize": lambda **_: None,
}


class Nothing(torch.nn.Module):
    """Stands for whatever else is taken from an absent package: a base class, a decorator, a name."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


class Absent(MetaPathFinder, Loader):
    """Makes every module of the absent packages importable; torchvision does not import beside torch's CPU build."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        absent = any(fullname == name or fullname.startswith(f"{name}.") for name in ABSENT)
        return ModuleSpec(fullname, self, is_package=True) if absent else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        vars(module).update(PRESENT, __getattr__=lambda _: Nothing, __path__=[])
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def efficientvit_sam(size: str) -> Callable[[], Any]:
    def build() -> Any:
        zoo = importlib.import_module("efficientvit.sam_model_zoo")
        return zoo.create_efficientvit_sam_model(f"efficientvit-sam-{size}", pretrained=False)

    return build


def sam(size: str) -> Callable[[], Any]:
    def build() -> Any:
        return importlib.import_module("segment_anything").sam_model_registry[size]()

    return build


def mobile_sam() -> Any:
    return importlib.import_module("mobile_sam").sam_model_registry["vit_t"]()


CASES: dict[str, tuple[Callable[[], Any], int]] = {  # what builds the published model, the side of its input
    "efficientvit_sam_l0": (efficientvit_sam("l0"), 512),
    "efficientvit_sam_xl0": (efficientvit_sam("xl0"), 1024),
    "efficientvit_sam_xl1": (efficientvit_sam("xl1"), 1024),
    "mobile_sam": (mobile_sam, 1024),
    "sam_vit_l": (sam("vit_l"), 1024),
    "sam_vit_h": (sam("vit_h"), 1024),
}


def outputs(model: Any, input_size: int) -> dict[str, torch.Tensor]:
    """What is kept: every 16th channel and 8th position of the embedding, every 8th logit, all IoU predictions."""
    frame = model.prompt_encoder.input_image_size[0]

    def decode(multimask: bool, **prompts: Any) -> tuple[torch.Tensor, torch.Tensor]:
        sparse, dense = model.prompt_encoder(**prompts)
        logits, iou = model.mask_decoder(embedding, model.prompt_encoder.get_dense_pe(), sparse, dense, multimask)
        return logits, iou

    embedding = model.image_encoder(torch.from_numpy(stand_in.image(input_size)))
    boxes = torch.from_numpy(stand_in.BOXES * frame)
    points = (torch.from_numpy(stand_in.POINTS * frame), torch.tensor([[1, 0]], dtype=torch.int32))
    box_logits, box_iou = decode(False, points=None, boxes=boxes, masks=None)
    points_logits, points_iou = decode(True, points=points, boxes=None, masks=None)
    mask_logits, mask_iou = decode(False, points=None, boxes=boxes[:1], masks=box_logits[1:])
    return {
        "embedding": embedding[:, ::16, ::8, ::8],
        "box_logits": box_logits[..., ::8, ::8],
        "box_iou": box_iou,
        "points_logits": points_logits[..., ::16, ::16],
        "points_iou": points_iou,
        "mask_logits": mask_logits[..., ::16, ::16],
        "mask_iou": mask_iou,
    }


def main(sources: Path, out: Path, names: list[str]) -> None:
    sys.path[:0] = [str(sources / name) for name in ("efficientvit", "MobileSAM", "segment_anything-1.0")]
    sys.meta_path.insert(0, Absent())
    torch.set_num_threads(2)
    for name in names or CASES:
        build, input_size = CASES[name]
        model = build()
        model.load_state_dict(stand_in.state_dict(model.state_dict()), strict=True)
        # After the weights: TinyViT derives constants from them when it is switched.
        model.train()
        model.eval()
        with torch.no_grad():
            kept = {key: value.numpy() for key, value in outputs(model, input_size).items()}
        np.savez_compressed(out / f"{name}.npz", **kept)  # type: ignore[arg-type]
        sys.stdout.write(f"{name}: {len(model.state_dict())} tensors\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
