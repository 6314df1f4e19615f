# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whole or not at all."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import FolderRun, InvalidArgument
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


def test_a_name_as_long_as_the_file_system_has_them(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".csv")
    write_atomically(target, b"x")
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(InvalidArgument, match="name too long"):
        write_atomically(tmp_path / ("n" * 252 + ".csv"), b"x")


def test_a_run_leaves_a_live_writers_temporary_and_removes_a_killed_ones(tmp_path: Path) -> None:
    """The writer's process number is not looked at: in another container it says nothing."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    np.savez(tmp_path / "in" / "2DBox_a.npz", imgs=np.zeros((8, 8), np.uint8), boxes=[[1, 1, 5, 5]])
    code = (
        "import pathlib, sys; from medsam_engine import atomic_file;"
        "atomic_file._locked_temporary(pathlib.Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "out" / "m.nii.gz")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        FolderRun(tmp_path / "in", tmp_path / "out")
        assert len(list((tmp_path / "out").iterdir())) == 1
        writer.kill()
    FolderRun(tmp_path / "in", tmp_path / "out")
    left = list((tmp_path / "out").iterdir())
    if left:  # a disk on which other machines may write: six hours old first
        os.utime(left[0], (0, 0))
        FolderRun(tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
