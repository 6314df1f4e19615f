# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one place where files that may come from anywhere are opened: regular files only, and nothing waits."""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from medsam_engine._core import default_max_bytes
from medsam_engine.errors import InvalidArgument, OutOfMemory

# Opening a named pipe must not wait for its writer, nor a terminal become this process's own.
if sys.platform == "win32":
    _FLAGS = os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT
else:
    _FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


def open_input(path: str | os.PathLike[str], what: str = "image") -> BinaryIO:
    """Opens a regular file for reading; links to one are followed.

    What is looked at is what was opened, so that nothing can be put in its place in between.

    Args:
        path: the file.
        what: what the file is to the caller, the first word of the error's message.

    Raises:
        InvalidArgument: no such file, not readable, or a pipe, device, socket or folder.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, _FLAGS)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise InvalidArgument(f"{what}: got {name}, expected a file; no such file") from error
        kind = _kind(name)  # a socket cannot even be opened
        reason = f"it is {kind}" if kind else getattr(error, "strerror", None) or error
        raise InvalidArgument(f"{what}: got {name}, expected a readable file; {reason}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise InvalidArgument(f"{what}: got {name}, expected a regular file; it is {kind}")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_input(path: str | os.PathLike[str], what: str) -> bytes:
    """All bytes of a regular file. InvalidArgument as open_input, and above a quarter of the memory; OutOfMemory."""
    with open_input(path, what) as file:
        size, most = size_of(file), default_max_bytes()
        if size > most:  # a sparse file can have any size on a small disk
            raise InvalidArgument(
                f"{what}: got {size} bytes in {os.fspath(path)}, expected at most {most}, a quarter of the memory"
            )
        try:
            return file.read()
        except OSError as error:
            raise InvalidArgument(
                f"{what}: got {os.fspath(path)}, expected a readable file; {error.strerror or error}"
            ) from error
        except MemoryError as error:
            raise OutOfMemory(f"{what}: got {size} bytes in {os.fspath(path)}, expected as much free memory") from error


def _kind(name: str) -> str | None:
    try:
        return _KINDS.get(stat.S_IFMT(Path(name).stat().st_mode))
    except (OSError, ValueError):
        return None


def size_of(file: BinaryIO) -> int:
    """Bytes of an open regular file."""
    return os.fstat(file.fileno()).st_size


class Unchanged:
    """That files are those that they were, for as long as something made of them is to be believed.

    A mapped file's voxels change with it, and a mask of a file that was exchanged belongs to neither.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        """Remembers the state of `files`; a folder has none, and neither has a file that is not there."""
        self._states = {path: self._now(path) for path in files}

    @staticmethod
    def _now(path: Path) -> tuple[int, ...] | None:
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None  # reported by whatever opens it
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None

    @property
    def total_bytes(self) -> int:
        """The sizes of the files together, as they were."""
        return sum(state[2] for state in self._states.values() if state is not None)

    def state(self, path: Path) -> tuple[int, ...] | None:
        """Device, number, bytes and time of change (ns) of one of the files as they were; None where it had none."""
        return self._states.get(path)

    def check(self) -> None:
        """InvalidArgument: a file was written to or exchanged meanwhile."""
        for path, state in self._states.items():
            if self._now(path) != state:
                raise InvalidArgument(
                    f"image: got {path}, expected a file that stays as it is; it changed while it was segmented, and "
                    "nothing was written: run again"
                )
