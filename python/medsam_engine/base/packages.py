# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which pip command installs what is missing: the one place of such commands, for error messages and documentation.

The package's own name is not in them: it is on no index, so that a command which names it would fail or, worse, install
what somebody else has put there. Versions are those of this package's metadata, which come from pyproject.toml.
"""

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Sequence

# What the export of a checkpoint imports (the extra [export], but for transformers, which one family needs).
EXPORT = ("torch", "onnx", "onnxscript", "safetensors")

# PyPI's torch for Linux brings CUDA, several gigabytes that an export does not use; the CPU build is on PyTorch's own
# index. Only its wheels for macOS are without the suffix.
TORCH = "torch==2.13.0" if sys.platform == "darwin" else "torch==2.13.0+cpu"
TORCH_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"

# Distributions that are not called as the module that they bring.
_DISTRIBUTIONS = {"PIL": "Pillow", "onnx_ir": "onnxscript", "tensorrt_rtx": "tensorrt-rtx-cu13"}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(distribution: str) -> str:
    """`distribution` with the versions that this package's metadata asks for."""
    try:
        wanted = importlib.metadata.requires("medsam-engine") or []
    except importlib.metadata.PackageNotFoundError:  # imported from the sources
        wanted = []
    for text in wanted:
        requirement = text.partition(";")[0].strip()
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name and _plain(name[0]) == _plain(distribution):
            return requirement
    return distribution


def pip_install(*modules: str) -> str:
    """The shell's command that installs the distributions of these modules, wherever pip has an index."""
    words: list[str] = []
    for module in modules:
        top = module.partition(".")[0]
        word = TORCH if top == "torch" else _requirement(_DISTRIBUTIONS.get(top, top))
        quoted = f'"{word}"' if re.search(r"[<>!~*]", word) else word
        if quoted not in words:
            words.append(quoted)
    # The index last: pip takes it for the whole command.
    return " ".join(["pip install", *words, *([TORCH_INDEX] if TORCH in words else [])])


def missing(modules: Sequence[str]) -> list[str]:
    """Those of these modules that cannot be found, without importing any."""
    return [module for module in modules if not _found(module)]


def _found(module: str) -> bool:
    # None in sys.modules stands for a module that must not be imported; find_spec raises ValueError for it.
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
