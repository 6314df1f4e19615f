# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The plugins of plugins/ are of the engine's version, and bring no Qt. `make plugins` runs their own tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def version() -> str:
    found = re.search(r"project\(\s*medsam_engine\s+VERSION\s+([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert found
    return found[1]


def test_slicers_module_installs_the_engines_version() -> None:
    text = (ROOT / "plugins" / "slicer" / "MedSAMEngine" / "MedSAMEngine.py").read_text(encoding="ascii")
    assert f'REQUIREMENT = "medsam-engine=={version()}"' in text


def test_slicers_extension_packs_every_module() -> None:
    folder = ROOT / "plugins" / "slicer" / "MedSAMEngine"
    listed = re.findall(
        r"^  (\S+)\.py$", (folder / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", folder.name), re.M
    )
    there = [folder / "MedSAMEngine.py", *(folder / "MedSAMEngineLib").glob("*.py")]
    assert sorted(listed) == sorted(str(path.relative_to(folder).with_suffix("")) for path in there)


def test_the_napari_plugin_is_of_the_engines_version_and_brings_no_qt() -> None:
    plugin = tomllib.loads((ROOT / "plugins" / "napari" / "pyproject.toml").read_text(encoding="ascii"))["project"]
    assert plugin["version"] == version()
    assert f"medsam-engine=={version()}" in plugin["dependencies"]
    assert not [each for each in plugin["dependencies"] if re.match(r"(?i)py(qt|side)|napari\[", each)]
