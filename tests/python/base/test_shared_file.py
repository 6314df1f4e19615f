# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that stay free for others while they are open, and their locks; `make wheel-windows` runs this under wine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medsam_engine.base.shared_file import Lock, open_shared, try_lock

IN_ANOTHER_PROCESS = (
    "import sys; from medsam_engine.base.shared_file import open_shared, try_lock;"
    "print(try_lock(open_shared(sys.argv[1], new=False)).name)"
)


def lock_elsewhere(path: Path) -> str:
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_lock_is_one_processes_until_it_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    descriptor = open_shared(path, new=False)
    assert try_lock(descriptor) is Lock.TAKEN
    assert lock_elsewhere(path) == "ELSEWHERE"
    other = open_shared(path, new=False)
    assert try_lock(other) is Lock.ELSEWHERE, "of this process, too"
    os.close(other)
    os.close(descriptor)
    assert lock_elsewhere(path) == "TAKEN"


def test_a_locked_file_is_written_read_renamed_and_removed(tmp_path: Path) -> None:
    descriptor = open_shared(tmp_path / "a", new=True)
    assert try_lock(descriptor) is Lock.TAKEN
    with os.fdopen(descriptor, "w+b") as file:
        file.write(b"\r\n\x1a\n")
        file.flush()
        assert (tmp_path / "a").read_bytes() == b"\r\n\x1a\n"
        (tmp_path / "b").write_bytes(b"older")
        (tmp_path / "a").replace(tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == b"\r\n\x1a\n"
        (tmp_path / "b").unlink()
    assert not list(tmp_path.iterdir())


def test_a_new_file_is_no_older_one_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        open_shared(tmp_path / "a", new=True)
    assert (tmp_path / "a").read_bytes() == b"older"
    with pytest.raises(FileNotFoundError):
        open_shared(tmp_path / "no" / "a", new=True)


@pytest.mark.skipif(sys.platform == "win32", reason="a link takes a right there, and modes are POSIX's")
def test_links_are_not_followed_and_a_new_file_is_private(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        open_shared(tmp_path / "link", new=False)
    os.close(open_shared(tmp_path / "a", new=True))
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
