# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that appear whole or not at all: the one way in which the package and the tools write one in place."""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from medsam_engine.base.shared_file import Lock, open_shared, try_lock
from medsam_engine.errors import InvalidArgument

_SUFFIX = ".medsam-tmp"  # as cpp/src/base/whole_file.hpp has it
_LONGEST_STEM = 200  # bytes; names may have 255


def check_writable(target: Path, least_bytes: int = 1) -> None:
    """Says before the work is done that `target` cannot be written, or that its disk has no room for `least_bytes`.

    InvalidArgument.
    """
    import shutil  # where they are used: half of what the package takes to be imported
    import tempfile

    fault = fault_on_windows(target.name) if sys.platform == "win32" else None
    if fault:
        raise InvalidArgument(f"output: got {target}, expected {fault}; choose another")
    try:
        if target.is_dir():
            raise InvalidArgument(f"output: got {target}, expected a file; it is a folder")
        if not target.parent.is_dir():
            raise InvalidArgument(f"output: got {target}, expected an existing folder; create {target.parent}")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise InvalidArgument(f"output: got {target}, expected a writable folder; choose another")
        if target.exists() and not target.is_file():
            raise InvalidArgument(f"output: got {target}, expected a file; it is a device, a pipe or a socket")
        # Permission bits do not tell of a disk mounted read-only or an immutable folder. A file without a name, where
        # the system has such.
        tempfile.TemporaryFile(dir=target.parent).close()
        disk = shutil.disk_usage(target.parent)
    except OSError as error:
        raise _cannot(target, error) from error
    if disk.total and disk.free < least_bytes:  # some network file systems do not say
        raise InvalidArgument(
            f"output: got {target} on a disk with {disk.free} bytes free, expected at least {least_bytes}; make room "
            "or choose another"
        )


def fault_on_windows(name: str) -> str | None:
    """What a name of a file has that Windows does not take, or takes for something else; None = nothing.

    With a colon, the content would go to a stream of another file, which no folder shows; under the name of a device,
    to the device ("Naming Files, Paths, and Namespaces", learn.microsoft.com).
    """
    found = re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    if found:
        return f"a name of a file without {found[0]!r}"
    if re.fullmatch(r"(con(in\$|out\$)?|prn|aux|nul|(com|lpt)[0-9\xb9\xb2\xb3])( *\..*)?", name, re.IGNORECASE):
        return "another name than that of a device of Windows"
    if len(name.encode("utf-16-le", "surrogatepass")) > 2 * 255:
        return "a name of at most 255 characters"
    return "a name without a space or a full stop at its end" if name.endswith((" ", ".")) else None


def _cannot(target: Path, error: OSError) -> InvalidArgument:
    return InvalidArgument(f"output: got {target}, expected a writable file; {error.strerror or error}")


def make_private_folder(folder: Path) -> None:
    """Makes `folder`, and what is absent above it, of mode 0700 (XDG Base Directory Specification). OSError.

    For the cache folder, which belongs to its user alone (SECURITY.md).
    """
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def written_whole(target: Path, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write and to read again, which gets the name `target` when the block ends without an exception.

    Readers see the older file or the new one. A new file gets the mode that open() would give it (0666 less the umask);
    one that is replaced keeps its own, so that what its owner has made private stays so. A `private` one has 0600 in
    either case. Windows has no modes: there, a file has the rights of its folder. OSError when it cannot be written.

    The temporary beside it is locked until it has its name: a run over that folder (FolderRun) removes what
    killed processes have left, and takes nobody's whose lock is held.
    """
    handle, temporary = _locked_temporary(target)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the name without the content
            if sys.platform != "win32":  # it is private until now
                os.fchmod(file.fileno(), 0o600 if private else _mode_of(target))
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(target: Path, content: bytes | Iterable[bytes], private: bool = False) -> None:
    """Writes `content`, whole or in parts, to `target`, as `written_whole` does. InvalidArgument when it cannot."""
    check_writable(target, len(content) if isinstance(content, bytes) else 1)
    try:
        with written_whole(target, private) as file:
            file.writelines([content] if isinstance(content, bytes) else content)
    except OSError as error:
        raise _cannot(target, error) from error


def _locked_temporary(target: Path) -> tuple[int, Path]:
    stem = os.fsdecode(os.fsencode(target.name)[:_LONGEST_STEM])
    while True:
        # In the target's folder, because a rename is only atomic within a file system.
        temporary = target.parent / f".{stem}.{os.urandom(4).hex()}{_SUFFIX}"
        try:
            handle = open_shared(temporary, new=True)
        except FileExistsError:
            continue
        lock = try_lock(handle)
        # Temporaries on a file system without locks are judged by their age. One whose lock is elsewhere, or that has
        # no name any more, is being removed: it was found between the two calls, without a lock.
        if lock is Lock.NONE or (lock is Lock.TAKEN and os.fstat(handle).st_nlink):
            return handle, temporary
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _mode_of(target: Path) -> int:
    try:
        return stat.S_IMODE(target.stat().st_mode) & 0o777
    except FileNotFoundError:
        return 0o666 & ~_umask()


def _umask() -> int:
    # Linux shows it. POSIX has no way to read it without setting it, which files that other threads make would feel.
    try:
        found = re.search(r"^Umask:\s*([0-7]+)$", Path("/proc/self/status").read_text("ascii", "replace"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
