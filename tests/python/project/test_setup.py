# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `make demo` installs and where its model goes; steps of the set-up that say how far they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "scripts" / room) for room in ("release", "run")]
import demo
import requirements
import step


def names(*sets: str) -> set[str]:
    return {re.split(r"[<>=]", text)[0] for text in requirements.requirements(list(sets))}


def dry_run(target: str) -> str:
    """What make would do from nothing: no stamp counts."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    words = [make, "--dry-run", "--always-make", target]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_the_demo_installs_what_it_needs_and_no_more() -> None:
    plan = dry_run("demo")
    assert re.findall(r"scripts/setup\.sh.*", plan) == ["scripts/setup.sh"]
    text = (ROOT / "scripts" / "setup.sh").read_text(encoding="ascii")
    always = text[: text.index("\nfor group in", text.index("install_set running"))]
    assert "install_set running" in always
    assert "dependencies openvino build" in always
    needed = names("dependencies", "openvino", "build", "export")
    unneeded = {"pytest", "ruff", "mypy", "tensorrt-rtx-cu13", "transformers", "scipy", "matplotlib", "nibabel"}
    assert not needed & unneeded
    assert {"numpy", "openvino", "pydicom", "Pillow", "typer", "torch", "onnx", "onnxscript", "safetensors"} <= needed


@pytest.mark.parametrize(
    ("target", "groups"),
    [("test-cpp", {"cpp"}), ("test-python", {"test", "lint"}), ("plans", {"test", "lint", "cuda"})],
)
def test_what_else_is_installed_has_its_target(target: str, groups: set[str]) -> None:
    calls = re.findall(r"scripts/setup\.sh([\w ]*)", dry_run(target))
    assert {word for call in calls for word in call.split()} == groups


def test_the_table_of_budgets_is_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="ascii")
    budgets = {
        name: int(seconds) for seconds, name in re.findall(r"suite_that_fits (\d+) \S+ make ([\w-]+)$", script, re.M)
    }
    names, seconds = re.findall(r"for name in ([\w ]+); do suite_that_fits (\d+) ", script)[0]
    budgets |= {f"smoke-{name}": int(seconds) for name in names.split()}
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="ascii")
    table = dict(re.findall(r"^\| .* \| `make ([\w -]+)` \| ([\d.]+) min \|$", page, re.M))
    first = [float(table.pop(target)) for target in ("setup build bundle", "lint", "test")]
    assert {target: float(minutes) * 60 for target, minutes in table.items()} == budgets
    assert sum(first) * 60 + sum(budgets.values()) <= int(re.findall(r"limit=(\d+)", script)[0])


def test_a_step_says_how_far_it_is_and_how_long_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(step, "SECONDS", 0)
    code = "print('[3/118] Building CXX object a.o'); print('Downloading a-1.whl (12.5 MB)'); print('other')"
    log = tmp_path / "build" / "log"
    assert step.run([sys.executable, "-c", code], log, "build: a") == 0
    said = capfd.readouterr().out
    assert said.startswith("build: a ...\n")
    assert re.search(r"^ +0 s  compiled 3 of 118$", said, re.MULTILINE)
    assert "downloading a-1.whl (12.5 MB)" in said
    assert re.search(r"^build: a: \d+ s$", said, re.MULTILINE)
    assert "other" not in said
    assert "other" in log.read_text()


def test_a_failed_step_shows_the_end_of_its_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; [print('line', n) for n in range(100)]; sys.exit(3)"
    assert step.run([sys.executable, "-c", code], tmp_path / "log", "build: a") == 3
    said = capfd.readouterr()
    assert "line 99" in said.err
    assert "line 60\n" not in said.err
    assert f"failed after 0 s with status 3; all of its output is in {tmp_path / 'log'}" in said.err
    assert len((tmp_path / "log").read_text().splitlines()) == 100


def test_the_demos_model_is_where_the_command_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the export tools need torch: make setup")
    from medsam_engine import find_bundle
    from medsam_engine_tools.export import fetch

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MEDSAM_ENGINE_BUNDLE", raising=False)

    def exported(name: str, progress: object, onnx: bool) -> Path:
        assert callable(progress)
        assert onnx, "the tests and the benchmarks compare with the graphs"
        folder = fetch.bundle_folder(name)
        if not folder.is_dir():
            folder.mkdir(parents=True)
            (folder / "manifest.json").write_text("{}")
        return folder

    monkeypatch.setattr(fetch, "fetch", exported)
    first, second = tmp_path / "stamps" / "first", tmp_path / "stamps" / "second"
    assert demo.fetched(first) == find_bundle()
    assert "ready" in capsys.readouterr().out
    assert subprocess.run(["sha256sum", "--check", "--status", first], check=False).returncode == 0
    demo.fetched(second)
    assert not second.exists(), "a bundle that was there already is not of these sources"
    (find_bundle() / "manifest.json").write_text("{ }")  # as quantize and certify do
    assert subprocess.run(["sha256sum", "--check", "--status", first], check=False).returncode != 0
