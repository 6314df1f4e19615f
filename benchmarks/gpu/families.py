# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family's bundle for the check of a GPU, with stand-in weights and graphs in f16; made once, kept in a folder.

    python -m benchmarks.gpu.families build/gpu-check/families [FAMILY ...]

Takes half a minute to two minutes per family on two cores. Needs `make setup`'s export tools.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from medsam_engine_tools.approximate.half_bundle import add_half
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint, families, recognition
from medsam_engine_tools.export.export import export

TESTS = Path(__file__).resolve().parents[2] / "tests"
Progress = Callable[[str], None]


def weights_path(folder: Path, family: str) -> Path:
    """Where the checkpoint of a family's bundle lies."""
    return folder / f"{family}.pth"


def stand_in_weights(family: str) -> dict[str, torch.Tensor]:
    """The smallest size's tensors: floats by their names, integers (tables of indices) as the model has them."""
    sys.path.append(str(TESTS / "data" / "golden"))
    import stand_in

    size = next(iter(families.get(family).sizes))
    return {
        name: stand_in.tensor(name, value.shape, value.dtype) if value.dtype.is_floating_point else value
        for name, value in families.get(family).build(size).state_dict().items()
    }


def _companion(family: str, folder: Path) -> Path | None:
    if families.get(family).companion is None:
        return None
    sys.path.append(str(TESTS / "python" / "support"))
    from clip_stand_in import clip_model, write_clip

    made: Path = write_clip(folder / f"{family}-companion", clip_model())
    return made


def model_of(family: str, weights: Path, folder: Path) -> torch.nn.Module:
    """The family's PyTorch model with the weights of its bundle, as the export has it."""
    chosen = families.get(family)
    tensors = checkpoint.read(weights).tensors
    model = chosen.build(recognition.closest_size(chosen, tensors))
    checkpoint.load_strict(model, tensors, family)
    companion = folder / f"{family}-companion"
    if chosen.companion is not None and companion.is_dir():
        chosen.companion.attach(model, companion)
    return model.eval().requires_grad_(False)


def prepare(folder: Path, names: Sequence[str], progress: Progress | None = None) -> dict[str, Path]:
    """The families' bundles, those missing made; a family that cannot be exported here is left out, which is told."""
    report: Progress = progress or (lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for family in names:
        bundle = folder / family
        try:
            if not (bundle / "manifest.json").is_file():
                report(f"{family}: exporting")
                torch.save(stand_in_weights(family), weights_path(folder, family))
                shutil.rmtree(bundle, ignore_errors=True)
                temporary = folder / f"{family}.new"
                export(family, weights_path(folder, family), temporary, companion=_companion(family, folder))
                add_half(temporary)
                temporary.rename(bundle)
            made[family] = bundle
        except (ExportError, ImportError) as error:
            report(f"{family}: left out: {error}")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the bundles are kept")
    parser.add_argument("family", nargs="*", help=f"default: all of {', '.join(sorted(families.REGISTRY))}")
    arguments = parser.parse_args()
    prepare(arguments.folder, arguments.family or sorted(families.REGISTRY), print)
