# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""PEP 517 backend: scikit-build-core, plus the pinned OpenVINO as a build requirement.

The OpenVINO plugin links the OpenVINO that the wheel will run with, so that version must be present at build time.
It is read from the extra ``openvino`` rather than written once more in ``build-system.requires``.
"""

from __future__ import annotations

import re
from pathlib import Path

from scikit_build_core.build import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from scikit_build_core.build import get_requires_for_build_editable as _requires_for_editable
from scikit_build_core.build import get_requires_for_build_wheel as _requires_for_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ConfigSettings = dict[str, str | list[str]] | None


def linked_requirements(config_settings: ConfigSettings) -> list[str]:
    """Returns what the wheel is linked against: the extra ``openvino``, unless its plugin is not asked for."""
    asked_for = (config_settings or {}).get("cmake.define.MEDSAM_ENGINE_OPENVINO", "ON")
    if str(asked_for).upper() in {"OFF", "0", "FALSE", "NO"}:
        return []
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    # As cmake/dependencies.cmake reads it; Python 3.10 has no tomllib.
    return re.findall(r'^openvino = \["(openvino==[\w.]+)"\]$', pyproject.read_text(encoding="utf-8"), re.MULTILINE)


def get_requires_for_build_wheel(config_settings: ConfigSettings = None) -> list[str]:
    """PEP 517 hook."""
    return [*_requires_for_wheel(config_settings), *linked_requirements(config_settings)]


def get_requires_for_build_editable(config_settings: ConfigSettings = None) -> list[str]:
    """PEP 660 hook."""
    return [*_requires_for_editable(config_settings), *linked_requirements(config_settings)]
