# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The order of the Python rooms: which module may import which. check_sources.py applies it to every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SOURCES = {"python/medsam_engine/": "medsam_engine", "tools/medsam_engine_tools/": "medsam_engine_tools"}

# From the lowest to the highest. A room is one or more modules or packages, between spaces; a package stands for what
# is below it and not named apart, and PACKAGE.__init__ for its own file. A module imports its own room and lower ones
# only, in functions, too; rooms on one line do not know each other. Imports for type checkers alone are exempt.
ROOMS = (
    ("medsam_engine._core", "medsam_engine_tools.errors", "medsam_engine_tools.roofline"),
    ("medsam_engine.errors",),
    ("medsam_engine.base", "medsam_engine.paths"),
    ("medsam_engine.io",),
    ("medsam_engine.io.dicom", "medsam_engine.io.itk", "medsam_engine.io.nifti", "medsam_engine.io.picture"),
    (
        "medsam_engine.io.__init__ medsam_engine.io.files medsam_engine.io.box_files medsam_engine.io.formats "
        "medsam_engine.io.labeled_boxes medsam_engine.io.source_files",
    ),
    ("medsam_engine",),
    ("medsam_engine.measure", "medsam_engine.show medsam_engine.overlay"),
    ("medsam_engine.serve", "medsam_engine.cohort"),
    ("medsam_engine.dicomweb",),
    ("medsam_engine_tools.bundle",),
    ("medsam_engine_tools.export", "medsam_engine_tools.gpu"),
    ("medsam_engine_tools.approximate",),
    ("medsam_engine.cli",),
    ("medsam_engine.cli.app medsam_engine.cli.__init__ medsam_engine.__main__",),
)
_PLACES = {name: (level, room) for level, rooms in enumerate(ROOMS) for room in rooms for name in room.split()}


def module_of(name: str) -> str | None:
    """Returns the module of a file of the package or the tools, with ``__init__``; None for another file."""
    for folder, package in SOURCES.items():
        if name.startswith(folder) and name.endswith(".py"):
            return ".".join((package, *PurePosixPath(name[len(folder) :]).with_suffix("").parts))
    return None


def place_of(module: str) -> tuple[int, str] | None:
    """Returns the level and the room of a module, by the longest name in ROOMS that it is or lies below."""
    parts = module.split(".")
    return next((_PLACES[name] for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in _PLACES), None)


def file_of(module: str, root: Path) -> str | None:
    """Returns the module as module_of writes it, where it is one of the repository's."""
    for folder, package in SOURCES.items():
        if module.split(".", maxsplit=1)[0] == package:
            path = root.joinpath(folder, *module.split(".")[1:])
            if path.is_dir():
                return f"{module}.__init__"
            if path.with_suffix(".py").is_file() or path.with_suffix(".pyi").is_file():
                return module
    return None


def targets(node: ast.AST, root: Path) -> list[str]:
    """Returns the repository's modules that an import statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        below = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if file_of(name, root) else node.module for name in below]
    else:
        return []
    return [module for name in dict.fromkeys(names) if (module := file_of(name, root)) is not None]


def room_errors(name: str, tree: ast.AST, typing_only: set[ast.AST], root: Path) -> Iterator[str]:
    """Yields the imports of a file that run against the order of the rooms."""
    module = module_of(name)
    if module is None or module == "medsam_engine_tools.__init__":
        return
    own = place_of(module)
    if own is None:
        yield f"{name}:1: a module of {module.split('.')[0]} lies in one of the rooms of ROOMS in python_rooms.py"
        return
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        for target in targets(node, root):
            place = place_of(target)
            if place is not None and place != own and place[0] >= own[0]:
                yield (
                    f"{name}:{getattr(node, 'lineno', 0)}: {own[1].split()[0]} imports only lower rooms "
                    f"(ROOMS in python_rooms.py), got {target}"
                )
