# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""sbom.cdx.json: the software bill of materials (CycloneDX 1.5) of the library, from requirements.lock and native.toml.

``sbom.py`` writes it, ``sbom.py --check`` exits 1 when it is out of step. No time stamp: the same inputs give the same
bytes, but for licenses, which are read from the installed distributions and not compared.

cyclonedx-py 7.5.0 and ``uv export`` 0.13.9 (both tried on 2026-11-28) do not do this: they know Python packages
only and write no scope, so this script would remain, to add the C++ libraries and the sets. cyclonedx-py finds no
licenses when it reads requirements.lock, and when it reads the environment, it lists what is installed there rather
than what is locked.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

import lock

ROOT = Path(__file__).resolve().parents[2]
SBOM = ROOT / "sbom.cdx.json"
NATIVE = ROOT / "cmake" / "native.toml"


def version() -> str:
    """The one of CMakeLists.txt."""
    match = re.search(r"project\(\s*medsam_engine\s+VERSION\s+(\d+\.\d+\.\d+)", (ROOT / "CMakeLists.txt").read_text())
    assert match
    return match[1]


def licenses(name: str) -> list[dict[str, Any]]:
    """What a distribution says of itself; empty when it is not installed or says nothing."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    named = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    return [{"license": {"name": name}} for name in named if name != "OSI Approved"]


def components() -> list[dict[str, Any]]:
    """C++ libraries first, then Python's."""
    found = []
    for name, native in tomllib.loads(NATIVE.read_text(encoding="ascii")).items():
        component = {"type": "library", "bom-ref": f"native/{name}", "name": name, "version": native["version"]}
        component |= {"scope": "required", "purl": native["purl"], "description": native["use"]}
        found.append(component | {"licenses": [{"expression": native["license"]}]})
    for name, (locked, sets) in lock.read_lock().items():
        tools = set(sets) <= {"build", "wheel", "test", "lint"}
        scope = "required" if "dependencies" in sets else "excluded" if tools else "optional"
        component = {"type": "library", "bom-ref": f"pypi/{name}", "name": name, "version": locked, "scope": scope}
        component |= {"purl": f"pkg:pypi/{name}@{locked}"}
        found.append(component | ({"licenses": licenses(name)} if licenses(name) else {}))
    return found


def document() -> dict[str, Any]:
    """The whole of it."""
    parts = components()
    identity = json.dumps([(part["purl"], part["scope"]) for part in parts])
    own: dict[str, Any] = {"type": "library", "bom-ref": "medsam-engine", "name": "medsam-engine", "version": version()}
    own |= {"purl": f"pkg:pypi/medsam-engine@{version()}", "licenses": [{"expression": "Apache-2.0"}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {"component": own},
        "components": parts,
        "dependencies": [
            {"ref": "medsam-engine", "dependsOn": [p["bom-ref"] for p in parts if p["scope"] == "required"]}
        ],
    }


def comparable(whole: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the installation."""
    return whole | {"components": [{k: v for k, v in part.items() if k != "licenses"} for part in whole["components"]]}


def faults() -> list[str]:
    """One line when the file is not what would be written now."""
    written = json.loads(SBOM.read_text(encoding="ascii"))
    same = comparable(written) == comparable(document())
    return (
        []
        if same
        else ["sbom.cdx.json: not what requirements.lock and cmake/native.toml say; run scripts/release/sbom.py"]
    )


def main() -> int:
    """The command."""
    if sys.argv[1:] != ["--check"]:
        SBOM.write_text(json.dumps(document(), indent=1) + "\n", encoding="ascii")
        return 0
    found = faults()
    print("\n".join([*found, f"sbom: {len(components())} components, {'out of step' if found else 'in step'}"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
