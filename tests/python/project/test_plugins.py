# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The plugins of plugins/ are of the engine's version, and bring no Qt. `make plugins` runs their own tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_napari_plugin_is_of_the_engines_version_and_brings_no_qt() -> None:
    version = re.search(r"project\(\s*medsam_engine\s+VERSION\s+([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert version
    plugin = tomllib.loads((ROOT / "plugins" / "napari" / "pyproject.toml").read_text(encoding="ascii"))["project"]
    assert plugin["version"] == version[1]
    assert f"medsam-engine=={version[1]}" in plugin["dependencies"]
    assert not [each for each in plugin["dependencies"] if re.match(r"(?i)py(qt|side)|napari\[", each)]
