# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The folder that a bundle is put into: at no time is there half a bundle under its name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.errors import ExportError

Progress = Callable[[str], None]  # called with one line, at the start of each step


def check_target(folder: Path) -> None:
    """Raises ExportError unless `folder` is absent, empty, or a bundle with nothing else in it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"output '{folder}' is a file; expected a folder that is absent, empty or a bundle")
    found = {entry.name for entry in folder.iterdir()}
    known = manifest.read(folder) or {}
    ours = {manifest.FILE_NAME} | manifest.model_files(known)
    if found and (not known or found - ours):
        stranger = sorted(found - ours if known else found)[0]
        raise ExportError(
            f"output '{folder}' holds '{stranger}', which is no part of a bundle;"
            " give a folder that is absent, empty or a bundle"
        )


def replace_folder(staged: Path, target: Path, kept: Path | None = None) -> None:
    """Puts `staged` where `target` is; at no time is there half a bundle under that name.

    What was there gets the name `kept`; without one it goes to a folder beside `staged`.
    """
    if target.exists():
        os.rename(target, staged.with_name("replaced") if kept is None else kept)
    os.rename(staged, target)


@contextmanager
def staged(target: Path, kept: Path | None = None) -> Iterator[Path]:
    """An empty folder beside `target`, which replaces it (`replace_folder`) when it is left without an exception.

    ExportError where that cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            folder = work / "bundle"
            folder.mkdir()
            yield folder
            replace_folder(folder, target, kept)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"output '{target}' cannot be written ({error}); free space or give another folder"
        ) from error
