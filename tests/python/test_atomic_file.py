# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whole or not at all."""

import os
import tempfile
from pathlib import Path

import pytest

from medsam_engine import InvalidArgument
from medsam_engine.atomic_file import write_atomically


def test_an_older_file_is_replaced_and_no_trace_left(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]
    umask = os.umask(0o022)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_failed_write_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    real = os.fdopen

    def full_disk(handle: int, mode: str) -> object:
        real(handle, mode).close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full_disk)
    with pytest.raises(InvalidArgument, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgument, match="it is a folder"):
        write_atomically(tmp_path, b"")
    with pytest.raises(InvalidArgument, match="existing folder"):
        write_atomically(tmp_path / "no" / "a", b"")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InvalidArgument, match="writable folder"):
        write_atomically(tmp_path / "a", b"")
    monkeypatch.undo()

    def read_only(**_: object) -> object:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    with pytest.raises(InvalidArgument, match="Read-only file system"):
        write_atomically(tmp_path / "a", b"")
