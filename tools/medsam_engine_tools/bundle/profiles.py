# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The named profiles: profiles/<name>.json of the project, installed as package data of medsam_engine_tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medsam_engine_tools.errors import ExportError


def profile_folder() -> Path:
    """Where the profiles are: in the installed package, else at the root of the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "profiles"
    return installed if installed.is_dir() else package.parents[1] / "profiles"


def load(name: str) -> dict[str, Any]:
    """The profile called `name`; raises ExportError where it is missing."""
    path = profile_folder() / f"{name}.json"
    try:
        profile: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(f"profile '{name}' is missing from this installation; install medsam-engine again") from error
    return profile
