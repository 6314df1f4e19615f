# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Prints requirements of pyproject.toml, one per line, for ``pip install -r``.

pip before 25.1 cannot install dependency groups, and none can install only a project's dependencies.
Usage: ``requirements.py [dependencies | EXTRA | GROUP] ...``; needs nothing but Python 3.11.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def group(groups: dict[str, list[Any]], name: str) -> list[str]:
    """Returns the requirements of dependency group `name`, its ``include-group`` entries expanded (PEP 735)."""
    found: list[str] = []
    for entry in groups[name]:
        found += [entry] if isinstance(entry, str) else group(groups, entry["include-group"])
    return found


def requirements(names: list[str]) -> list[str]:
    """Returns the requirements of the named sets; a group wins over an extra of the same name.

    Raises:
        KeyError: pyproject.toml has no such set.
    """
    tables = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project, groups = tables["project"], tables["dependency-groups"]
    found: list[str] = []
    for name in names:
        if name == "dependencies":
            found += project["dependencies"]
        elif name in groups:
            found += group(groups, name)
        else:
            found += project["optional-dependencies"][name]
    return found


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
