# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The command as a process: exit statuses, missing extras, internal errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import medsam_engine
from medsam_engine import errors

FAMILY = [getattr(errors, name) for name in errors.__all__]

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.base.packages import pip_install
from medsam_engine.cli import app


def command(*arguments: str, hidden: str = "") -> subprocess.CompletedProcess[str]:
    """`medsam-engine ARGUMENTS` in a process of its own, in which module `hidden` cannot be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden.split()!r})); from medsam_engine.cli import main; main()"
    )
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_version_and_help() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"medsam-engine {medsam_engine.__version__}")
    done = command("--help")
    assert done.returncode == 0
    for name in ("segment", "info", "fetch", "export"):
        assert name in done.stdout


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medsam_engine", "--version"], capture_output=True, text=True, check=True
    )
    assert medsam_engine.__version__ in done.stdout


@pytest.mark.parametrize("module", ["typer", "rich", "PIL"])
def test_without_the_cli_extra(module: str) -> None:
    done = command("--version", hidden=module)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert f"no module {module}" in done.stderr
    assert pip_install("typer", "rich", "PIL") in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("fetch", "litemedsam", "--onnx"), ("export", "litemedsam", "--onnx", "--checkpoint", "a.pth", "--out", "b")],
)
def test_without_torch(arguments: tuple[str, ...]) -> None:
    for module in ("onnx", "onnxscript", "safetensors"):
        pytest.importorskip(module, reason="comes with the extra [export]")
    done = command(*arguments, hidden="torch")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.endswith("; " + pip_install("torch") + "\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fetch", "nothing"), "nothing"),
        (("export", "nothing", "--checkpoint", "a.pth", "--out", "b"), "nothing"),
        (("export", "litemedsam", "--checkpoint", "missing.pth", "--out", "b"), "missing.pth"),
    ],
)
def test_the_tools_errors_are_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    for module in ("torch", "onnx", "onnxscript"):
        pytest.importorskip(module, reason="comes with the extra [export]")
    done = command(*arguments[:-1], str(tmp_path / arguments[-1]) if arguments[0] == "export" else arguments[-1])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"medsam-engine: {arguments[0]}: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["unknown"], ["--unknown"], ["segment"]])
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("medsam-engine: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RuntimeError("oh no"), 1, "internal error: RuntimeError: oh no"),
        *[(kind("two\nlines"), 2, "medsam-engine: two lines") for kind in FAMILY],
        (MemoryError("Unable to allocate 9 TiB"), 2, "out of memory: Unable to allocate 9 TiB"),
        (OSError(28, "No space left on device", "m.csv"), 2, "medsam-engine: m.csv: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_status_of_each_error(
    error: BaseException,
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("medsam_engine.cli.info.find_bundle", broken)
    assert app.run(["info"]) == status
    err = capsys.readouterr().err
    assert words in err
    assert ("internal error" in err) == (status == 1)
    assert len(err.splitlines()) == 1
