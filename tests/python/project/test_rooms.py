# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The order of the Python rooms (scripts/checks/python_rooms.py): an import against it fails `make lint`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "checks"))
import check_sources
import python_rooms

IO_FILES = "python/medsam_engine/io/files.py"


def found(name: str, text: str) -> list[str]:
    return [error for error in check_sources.python_errors(name, text) if "ROOMS" in error]


@pytest.mark.parametrize(
    ("name", "text", "target"),
    [
        (IO_FILES, "from medsam_engine.cli.app import run", "medsam_engine.cli.app"),
        (IO_FILES, "import medsam_engine.engine", "medsam_engine.engine"),
        (IO_FILES, "from medsam_engine import Engine", "medsam_engine.__init__"),
        (IO_FILES, "def read():\n    from medsam_engine.show import overlay", "medsam_engine.show.overlay"),
        ("python/medsam_engine/io/byte_limit.py", "from medsam_engine.io import files", "medsam_engine.io.files"),
        ("python/medsam_engine/io/dicom/seg.py", "from medsam_engine.io import read", "medsam_engine.io.__init__"),
        ("python/medsam_engine/io/itk/file.py", "import medsam_engine.io.dicom.tags", "medsam_engine.io.dicom.tags"),
        ("python/medsam_engine/engine.py", "from medsam_engine.measure import bench", "medsam_engine.measure.bench"),
        ("python/medsam_engine/cli/run/command.py", "import medsam_engine.cli.app", "medsam_engine.cli.app"),
        (
            "tools/medsam_engine_tools/bundle/manifest.py",
            "from medsam_engine_tools.export.family import Family",
            "medsam_engine_tools.export.family",
        ),
    ],
)
def test_an_import_of_a_higher_room_or_of_one_beside(name: str, text: str, target: str) -> None:
    errors = found(name, text)
    assert len(errors) == 1
    assert errors[0].startswith(f"{name}:")
    assert errors[0].endswith(f"imports only lower rooms (ROOMS in python_rooms.py), got {target}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (IO_FILES, "from medsam_engine import _core\nfrom medsam_engine.io.dicom.series import read_series"),
        (IO_FILES, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from medsam_engine import Engine"),
        ("python/medsam_engine/cli/view.py", "from medsam_engine import Engine, io\nimport numpy"),
        ("tools/medsam_engine_tools/approximate/half_bundle.py", "from medsam_engine_tools.export import parity"),
    ],
)
def test_what_is_allowed(name: str, text: str) -> None:
    assert not found(name, text)


def test_a_file_belongs_to_a_room() -> None:
    assert found("tools/medsam_engine_tools/new.py", "") == [
        "tools/medsam_engine_tools/new.py:1: a module of medsam_engine_tools lies in one of the rooms of ROOMS in "
        "python_rooms.py"
    ]


def test_every_room_is_there() -> None:
    """A name that a move has left behind would allow everything."""
    names = [name for rooms in python_rooms.ROOMS for room in rooms for name in room.split()]
    assert len(names) == len(set(names))
    for name in names:
        package = name.removesuffix(".__init__")
        module = python_rooms.file_of(package, ROOT) or python_rooms.file_of(name, ROOT)
        assert module in (name, f"{name}.__init__"), name


def test_lint_fails(tmp_path: Path) -> None:
    """Through the program itself, over a repository of one file that imports upwards."""
    for file in ("check_sources.py", "python_rooms.py"):
        copy = tmp_path / "scripts" / "checks" / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / "scripts" / "checks" / file).read_bytes())
    header = "# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.\n"
    for file, text in (("show/overlay.py", ""), ("io/files.py", "import medsam_engine.show.overlay\n")):
        path = tmp_path / "python" / "medsam_engine" / file
        path.parent.mkdir(parents=True)
        path.write_text(header + text, encoding="ascii")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    words = [sys.executable, str(tmp_path / "scripts" / "checks" / "check_sources.py")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        f"{IO_FILES}:2: medsam_engine.io.__init__ imports only lower rooms (ROOMS in python_rooms.py), got "
        "medsam_engine.show.overlay"
    )
    (tmp_path / IO_FILES).write_text(header, encoding="ascii")
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
