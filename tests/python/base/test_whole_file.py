# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whole or not at all."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import FolderRun, InvalidArgument
from medsam_engine.base import whole_file
from medsam_engine.base.whole_file import (
    check_writable,
    fault_on_windows,
    make_private_folder,
    write_atomically,
    written_whole,
)

ROOT = Path(__file__).resolve().parents[3]
WINDOWS = sys.platform == "win32"
has_modes = pytest.mark.skipif(WINDOWS, reason="Windows has no modes")


def test_an_older_file_is_replaced_and_no_trace_left(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]
    umask = os.umask(0o022)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_block_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail() -> None:
        with written_whole(target) as file:
            file.write(b"new")
            file.seek(0)
            assert file.read() == b"new"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_nothing_else_renames_a_temporary_file() -> None:
    """A second way would have modes, names and leftovers of its own. `target.py` moves a folder."""
    found = {
        path.name
        for folder in ("python/medsam_engine", "tools/medsam_engine_tools")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="ascii")))
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) in ("os.replace", "os.rename", "tempfile.mkstemp", "tempfile.NamedTemporaryFile")
            or (ast.unparse(node.func) == "open_shared" and "new=True" in ast.unparse(node))
        )
    }
    assert found == {"whole_file.py", "target.py"}


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    older = os.umask(request.param)
    yield request.param
    os.umask(older)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@has_modes
def test_modes_are_those_of_the_umask(umask: int, tmp_path: Path) -> None:
    write_atomically(tmp_path / "mask.png", b"x")
    assert mode(tmp_path / "mask.png") == 0o666 & ~umask
    assert os.umask(umask) == umask, "the umask was left alone"


@has_modes
@pytest.mark.parametrize("older", [0o600, 0o640, 0o664])
def test_a_replaced_file_keeps_its_mode(umask: int, older: int, tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    target.write_bytes(b"old")
    target.chmod(older)
    write_atomically(target, b"new")
    assert (target.read_bytes(), mode(target)) == (b"new", older)
    assert umask == os.umask(umask)


@has_modes
@pytest.mark.usefixtures("umask")
def test_private_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "tuned"
    make_private_folder(folder)
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    for _ in range(2):
        write_atomically(folder / "choice.json", b"{}", private=True)
        assert mode(folder / "choice.json") == 0o600
        (folder / "choice.json").chmod(0o644)
    tmp_path.chmod(0o750)
    make_private_folder(tmp_path)
    assert mode(tmp_path) == 0o750, "a folder that is there is left as it is"


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

    def read_only(*_: object, **__: object) -> object:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(whole_file, "open_shared", read_only)
    with pytest.raises(InvalidArgument, match="Read-only file system"):
        write_atomically(tmp_path / "a", b"")


def test_a_name_as_long_as_the_file_system_has_them(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".csv")
    write_atomically(target, b"x")
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(
        InvalidArgument, match="at most 255" if WINDOWS else "expected a writable file; File name too long"
    ):
        write_atomically(tmp_path / ("n" * 252 + ".csv"), b"x")


def test_a_run_leaves_a_live_writers_temporary_and_removes_a_killed_ones(tmp_path: Path) -> None:
    """The writer's process number is not looked at: in another container it says nothing."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    np.savez(tmp_path / "in" / "2DBox_a.npz", imgs=np.zeros((8, 8), np.uint8), boxes=[[1, 1, 5, 5]])
    code = (
        "import pathlib, sys; from medsam_engine.base import whole_file;"
        "whole_file._locked_temporary(pathlib.Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "out" / "m.nii.gz")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == b"ready"
        FolderRun(tmp_path / "in", tmp_path / "out")
        assert len(list((tmp_path / "out").iterdir())) == 1
        writer.kill()
    FolderRun(tmp_path / "in", tmp_path / "out")
    left = list((tmp_path / "out").iterdir())
    if left:  # a disk on which other machines may write: six hours old first
        os.utime(left[0], (0, 0))
        FolderRun(tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mask:1.png", "without ':'"),
        ("mask?.nii.gz", "without '?'"),
        ("NUL.nii.gz", "a device"),
        ("aux", "a device"),
        ("Com1 .png", "a device"),
        ("lpt\u00b2.png", "a device"),
        ("CONOUT$", "a device"),
        ("n" * 256, "at most 255"),
        ("mask.", "at its end"),
        ("auxiliary.png", None),
        ("com10.png", None),
        ("M\u00fcller \u75c5.nii.gz", None),
    ],
)
def test_names_that_windows_does_not_take(name: str, words: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = fault_on_windows(name)
    assert fault is None if words is None else words in str(fault)
    monkeypatch.setattr("sys.platform", "win32")
    if words is not None:
        with pytest.raises(InvalidArgument, match="; choose another"):
            check_writable(Path(name))
