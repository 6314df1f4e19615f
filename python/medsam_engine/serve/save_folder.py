# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The folder in which work is kept, and who may write a study's files in it."""

from __future__ import annotations

import os
from pathlib import Path

from medsam_engine.base.shared_file import Lock, open_shared, try_lock
from medsam_engine.base.whole_file import check_writable, make_private_folder
from medsam_engine.errors import InvalidArgument


def make_save_folder(folder: Path) -> None:
    """Makes the folder, private to its user, if it is absent. InvalidArgument: that cannot be, or it takes no files."""
    try:
        make_private_folder(folder)
    except OSError as error:
        raise InvalidArgument(
            f"--save-folder: got {folder}, expected a folder that can be made and written; {error.strerror or error}"
        ) from error
    check_writable(folder / "any.session")


class Claim:
    """That nobody else saves the work that `file` keeps: a lock on a file beside it.

    It ends with release() or the process. The session's own file cannot be locked, because each save replaces it.
    """

    def __init__(self, file: Path) -> None:
        """InvalidArgument: another server has the claim, or another study of this one; or the folder takes no files."""
        make_save_folder(file.parent)
        self._path = file.with_suffix(".lock")
        self._handle: int | None = None
        while self._handle is None:
            self._handle = self._locked()

    def _locked(self) -> int | None:
        """The locked file; None if its owner has removed it between the two calls."""
        try:
            handle = open_shared(self._path, new=False)
        except OSError as error:
            raise InvalidArgument(
                f"--save-folder: got {self._path.parent}, expected a folder that takes files; {error.strerror or error}"
            ) from error
        lock = try_lock(handle)
        if lock is Lock.ELSEWHERE:
            os.close(handle)
            raise InvalidArgument(
                "study: got an image on which another server works with the same --save-folder, expected one server "
                "for it; close it there, or give another --save-folder"
            )
        if lock is Lock.NONE or os.fstat(handle).st_nlink:
            return handle
        os.close(handle)
        return None

    def release(self) -> None:
        """Others may have it. Nothing happens the second time."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)  # while it is locked, so that nobody has locked what is removed
            os.close(self._handle)
            self._handle = None
