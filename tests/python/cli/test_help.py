# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Help texts as they reach the terminal, and shell completion."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest

typer = pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli import app

COMMANDS = [command.name for command in app.app.registered_commands]


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert app.run([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    monkeypatch.setenv("NO_COLOR", "1")


def written_texts(command: Any) -> list[str]:
    return [command.help, *(getattr(p, "help", None) or "" for p in command.params)]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_bracket_is_taken_for_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(help_of([name], capsys).split())
    built = typer.main.get_command(app.app).commands[name]  # as it was written, not escaped
    for text in written_texts(built):
        for bracketed in re.findall(r"\S*\[\S*\]\S*", text):
            assert bracketed in shown, f"{bracketed} of: {text}"
    assert "\\[" not in shown


def test_the_extra_of_build_plan_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs the extra [cuda], but no GPU" in help_of(["build-plan"], capsys)
    assert "needs the extra [cuda], but no GPU" in help_of([], capsys)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_understands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = [line for line in help_of([name], capsys).splitlines() if f"medsam-engine {name} " in f"{line} "]
    examples = [line for line in examples if "Usage" not in line]
    assert examples
    options = {o for p in typer.main.get_command(app.app).commands[name].params for o in (*p.opts, *p.secondary_opts)}
    for line in examples:
        for word in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line):
            assert word in options, line


def test_the_options_of_segment_are_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    out = help_of(["segment"], capsys)
    line = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
    places = [out.index(f"{line} {panel} {line}") for panel in ("Prompts", "Image", "Output", "Model")]
    prompts, image, output, model = places
    for option, start in (("--box-mm", prompts), ("--window", image), ("--json", output), ("--precision", model)):
        after = [place for place in places if place > start]
        assert start < out.index(f" {option} ") < min(after, default=len(out)), option
    assert "not in volumes of several slices" in out
    assert "bf16" in out[model:]


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from medsam_engine.cli import app; app.run(['--help']); "
        "names = ('torch', 'scipy', 'onnx', 'matplotlib', 'SimpleITK', 'pydicom', 'nibabel', 'openvino'); "
        "sys.exit(' '.join(name for name in names if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", [pytest.param("bash", marks=pytest.mark.needs("bash")), "zsh", "fish"])
def test_a_completion_script_is_shown(shell: str) -> None:
    done = completed(f"source_{shell}")
    assert "_MEDSAM_ENGINE_COMPLETE" in done.stdout
    assert done.stderr == ""


def test_bash_completes_commands_and_options() -> None:
    done = completed("complete_bash", COMP_WORDS="medsam-engine seg", COMP_CWORD="1")
    assert done.stdout.split() == ["segment"]
    done = completed("complete_bash", COMP_WORDS="medsam-engine segment --box", COMP_CWORD="2")
    assert done.stdout.split() == ["--box", "--box-mm", "--boxes-from"]


def test_zsh_completes_options_with_their_help() -> None:
    done = completed("complete_zsh", _TYPER_COMPLETE_ARGS="medsam-engine segment --prec")
    assert "--precision" in done.stdout
    assert "certified" in done.stdout


def completed(instruction: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the shell's function gets from the command."""
    return subprocess.run(
        [sys.executable, "-c", "from medsam_engine.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_MEDSAM_ENGINE_COMPLETE": instruction, **variables},
    )
