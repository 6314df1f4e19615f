# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""requirements.lock: the exact versions that this package was tested with, all that they need included.

``lock.py`` writes it from what .venv holds, ``lock.py --check`` says what of it is out of step with pyproject.toml and
exits 1. Use: ``pip install -c requirements.lock .`` in a clone. Two extras are not in it: `cuda`, which
pyproject.toml pins itself, and `quantize`, which few install.

pip-compile 7.6.2 and uv 0.13.9 (both tried on 2026-11-28) do not do this, because they resolve what an index offers
rather than record what was tested: PyPI has torch with CUDA only, so uv adds 19 packages that no test has seen.
pip-compile does not know dependency groups. With hashes, ``pip install -c requirements.lock .`` fails, since pip
then wants one for the clone itself. After a change of pyproject.toml, ``uv lock --check`` needs a network and does
not say what is out of step.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import requirements
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
# What a user runs with, then the extras, then what only builds and tests.
SETS = (
    "dependencies",
    "eval",
    "serve",
    "parquet",
    "cloud",
    "dicomweb",
    "export",
    "build",
    "wheel",
    "test",
    "e2e",
    "lint",
    "docs",
)
HEADER = """\
# Exact versions that were tested (CPython 3.11, Linux x86_64), written by scripts/release/lock.py: do not edit.
# In a clone: pip install -c requirements.lock .
"""


def direct(name: str) -> list[Requirement]:
    """The requirements of one set of pyproject.toml, an extra and a group of the same name together."""
    extras = tomllib.loads(requirements.PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    texts = {*requirements.requirements([name]), *extras.get(name, [])}
    return [Requirement(text) for text in sorted(texts)]


def needs(distribution: importlib.metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    """What an installed distribution needs here."""
    for text in distribution.requires or []:
        requirement = Requirement(text)
        contexts = [{"extra": extra} for extra in (extras or {""})]
        if requirement.marker is None or any(requirement.marker.evaluate(context) for context in contexts):
            yield requirement


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Name and version of every distribution behind these requirements, as installed.

    Raises:
        SystemExit: one is not installed.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    while pending:
        requirement = pending.pop()
        name, key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, key) in seen:
            continue
        seen.add((name, key))
        try:
            distribution = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            sys.exit(f"lock: {requirement} is not installed; run make setup")
        found[name] = distribution.version.split("+")[0]  # torch's CPU build says 2.13.0+cpu
        pending += needs(distribution, set(requirement.extras))
    return found


def read_lock() -> dict[str, tuple[str, list[str]]]:
    """Name: version and the sets that brought it."""
    lines = LOCK.read_text(encoding="ascii").splitlines()
    matches = (re.fullmatch(r"([a-z0-9-]+)==(\S+)  # (.+)", line) for line in lines if not line.startswith("#"))
    return {match[1]: (match[2], match[3].split(", ")) for match in matches if match}


def write_lock() -> None:
    """Writes what is installed."""
    sets: dict[str, list[str]] = {}
    versions: dict[str, str] = {}
    for name in SETS:
        for package, version in closure(direct(name)).items():
            versions[package] = version
            sets.setdefault(package, []).append(name)
    lines = [f"{package}=={versions[package]}  # {', '.join(sets[package])}\n" for package in sorted(versions)]
    LOCK.write_text(HEADER + "".join(lines), encoding="ascii")


def faults() -> Iterator[str]:
    """What is out of step: a requirement that the lock does not have, or not in a version that it allows."""
    locked = read_lock()
    for name in SETS:
        for requirement in direct(name):
            package = canonicalize_name(requirement.name)
            if package not in locked:
                yield f"requirements.lock: {requirement} of {name} is missing; run scripts/release/lock.py"
            elif not requirement.specifier.contains(locked[package][0]):
                yield f"requirements.lock: has {package} {locked[package][0]}, {name} wants {requirement}; lock again"
    for locked_name, (version, _) in locked.items():
        try:
            distribution = importlib.metadata.distribution(locked_name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if distribution.version.split("+")[0] != version:
            continue  # tested with another: its needs may differ
        for requirement in needs(distribution, set()):
            if canonicalize_name(requirement.name) not in locked:
                what = f"{requirement}, which is missing"
                yield f"requirements.lock: {locked_name} needs {what}; run scripts/release/lock.py"


def main() -> int:
    """The command."""
    if sys.argv[1:] != ["--check"]:
        write_lock()
        return 0
    found = list(faults())
    print("\n".join([*found, f"lock: {len(read_lock())} packages, {len(found)} out of step"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
