# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The pip commands of messages and pages: they name what an index has, in the versions of pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from medsam_engine.base import packages
from medsam_engine.base.packages import EXPORT, TORCH, TORCH_INDEX, missing, pip_install

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
FOLDERS = {"python": "*.py", "tools": "*.py", "cpp": "*.?pp", "examples": "*", "scripts": "*"}
SOURCES = [
    path
    for folder, pattern in FOLDERS.items()
    for path in sorted((ROOT / folder).rglob(pattern))
    if path.is_file() and "__pycache__" not in path.parts
]


def test_commands_name_distributions_with_their_versions() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    for module, text in (
        ("PIL.Image", next(r for r in project["dependencies"] if r.startswith("Pillow"))),
        ("SimpleITK", next(r for r in project["dependencies"] if r.startswith("SimpleITK"))),
        ("surface_distance", "surface-distance==0.1"),
        ("scipy.ndimage", next(r for r in extras["eval"] if r.startswith("scipy"))),
        ("tensorrt_rtx", extras["cuda"][0]),
        ("nncf", next(r for r in extras["quantize"] if r.startswith("nncf"))),
    ):
        said = pip_install(module).removeprefix("pip install ")
        assert Requirement(said.strip('"')) == Requirement(text)  # metadata may order the versions in another way
        assert said.startswith('"') == ("==" not in text)
    assert pip_install("PIL", "PIL.Image") == pip_install("PIL"), "each once"
    assert pip_install("of_no_metadata") == "pip install of_no_metadata"


def test_torch_is_the_cpu_build_that_is_tested() -> None:
    pinned = next(r for r in PROJECT["dependency-groups"]["export"] if r.startswith("torch=="))
    assert TORCH.removesuffix("+cpu") == pinned
    assert TORCH.endswith("+cpu") == (sys.platform != "darwin")
    assert pip_install("torch") == f"pip install {TORCH} {TORCH_INDEX}"
    everything = pip_install(*EXPORT)
    assert everything.endswith(TORCH_INDEX)
    assert everything.count("--extra-index-url") == 1
    extra = {re.split(r"[<>=]", text)[0] for text in PROJECT["project"]["optional-dependencies"]["export"]}
    assert extra - {"transformers"} == set(EXPORT)


def test_missing_says_which_without_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hidden_here", None)
    assert missing(["json", "hidden_here", "no_such_module"]) == ["hidden_here", "no_such_module"]


def test_it_needs_the_standard_library_alone() -> None:
    """scripts/setup.sh runs the file before there is anything else."""
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['TORCH'])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "python" / "medsam_engine" / "base" / "packages.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == TORCH, done.stderr


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_asks_an_index_for_our_name(path: Path) -> None:
    """Nothing is published under it: from a clone it is `pip install .`, else a wheel's file."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        for asked in re.findall(r"pip install ((?:(?!`|;|&&| #).)*)", line):
            own = re.search(r"(?<![./\w-])medsam-engine(?![\w/-])(?!\S*\.whl)", asked)
            assert own is None, f"{path.name}: {line.strip()}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_quote_the_command_for_torch(path: Path) -> None:
    """A page that has the reader install torch, or an extra that brings it, has the CPU build's command in front."""
    text = path.read_text(encoding="utf-8")
    command = f"pip install {packages.TORCH} {TORCH_INDEX}"
    for match in re.finditer(r"pip install[^\n`]*(?:\[[\w,]*(?:export|quantize)[\w,]*\]|\btorch\b)", text):
        start = text.rfind("```", 0, match.start())
        assert command in text[start : match.end() + len(command)], f"{path.name}: {match[0]} without {command}"
    for found in re.findall(r"torch==[\w.+]+", text):
        assert found == TORCH
