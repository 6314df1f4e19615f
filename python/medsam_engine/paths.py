# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Finds bundles when the caller does not name a folder."""

import os
from pathlib import Path

from medsam_engine.errors import ModelError

DEFAULT_MODEL = "litemedsam"
BUNDLE_VARIABLE = "MEDSAM_ENGINE_BUNDLE"


def xdg_folder(variable: str, default: str) -> Path:
    """The folder of medsam-engine in an XDG base directory; if the variable is not set, `default` in the home folder.

    A relative value is ignored, as the XDG specification requires: its meaning would depend on the working directory.
    """
    base = os.environ.get(variable, "")
    return (Path(base) if os.path.isabs(base) else Path.home() / default) / "medsam-engine"


def bundles_folder() -> Path:
    """The user's folder of bundles, where `medsam-engine fetch` puts them (XDG base directories)."""
    return xdg_folder("XDG_DATA_HOME", ".local/share") / "bundles"


def find_bundle(bundle: str | os.PathLike[str] | None = None) -> Path:
    """The bundle to use: `bundle`, or else $MEDSAM_ENGINE_BUNDLE, or else the one in the user's data folder.

    If the data folder has several bundles, "litemedsam" is chosen. This function does not check the folder; Engine
    does.

    Raises:
        ModelError: no bundle was named, and none is installed, or several are and none of them is the default.
    """
    if bundle is not None:
        return Path(bundle)
    named = os.environ.get(BUNDLE_VARIABLE)
    if named:
        return Path(named)
    folder = bundles_folder()
    found = sorted(path.parent for path in folder.glob("*/manifest.json"))
    for path in found:
        if path.name == DEFAULT_MODEL:
            return path
    if len(found) == 1:
        return found[0]
    got = ", ".join(path.name for path in found) if found else "none"
    raise ModelError(
        f"bundle: got none named and {got} in {folder}, expected one; "
        f"name a folder, set {BUNDLE_VARIABLE}, or run `medsam-engine fetch {DEFAULT_MODEL}`"
    )
