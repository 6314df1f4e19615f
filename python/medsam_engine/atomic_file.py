# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that appear whole or not at all."""

import os
import tempfile
from pathlib import Path

from medsam_engine.errors import InvalidArgument


def check_writable(target: Path) -> None:
    """Says before the work is done that `target` cannot be written. InvalidArgument."""
    if target.is_dir():
        raise InvalidArgument(f"output: got {target}, expected a file; it is a folder")
    if not target.parent.is_dir():
        raise InvalidArgument(f"output: got {target}, expected an existing folder; create {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InvalidArgument(f"output: got {target}, expected a writable folder; choose another")


def write_atomically(target: Path, content: bytes) -> None:
    """Writes `content` to `target`; readers see the older file or the new one. InvalidArgument when it cannot be."""
    check_writable(target)
    temporary = None
    try:
        # In the target's folder, because a rename is only atomic within a file system.
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private to the user
        temporary.replace(target)
    except OSError as error:
        raise InvalidArgument(f"output: got {target}, expected a writable file; {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    # POSIX has no way to read it without setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
