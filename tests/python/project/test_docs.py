# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The documentation says what is so: its code runs word for word, its links lead somewhere, its errors exist.

The start page of the site is README.md itself, so that the quick start of both is one text.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import medsam_engine

pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")

from medsam_engine.cli.app import run

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "scripts" / "docs"), str(ROOT / "tests" / "guides")]
import page_blocks
from docs_links import OUTSIDE, pages, site_links, source_of
from page_samples import make_samples, readme_names

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("README.md", "docs/guide_2d.md", "docs/guide_3d.md", "docs/guide_interactive.md", "docs/guide_dicom.md")
PYTHON = (*RUN, "docs/install.md")
# Commands that take minutes or the network, or run until they are ended: only their words are checked here;
# tests/python/cli and tests/python/serve run them.
ONLY_WORDS = {"bench", "tune", "quantize", "fetch", "certify", "export", "half", "build-plan", "serve"}


def code(page: str, language: str) -> list[str]:
    found = page_blocks.blocks(ROOT / page)
    return [block.text for block in found if block.language == language and block.not_run is None]


def command_lines(page: str) -> list[list[str]]:
    """The page's commands of medsam-engine, run or not."""
    found = [block for block in page_blocks.blocks(ROOT / page) if block.is_shell]
    lines = [command for block in found for command in block.commands()]
    # "medsam-engine plan 2" begins a plan's fingerprint (docs/gpu.md) and is no command.
    return [line.split()[1:] for line in lines if re.match(r"medsam-engine (?!plan \d)", line)]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages name, and a small model for speed; the current one."""
    bundle = ROOT / "tests" / "data" / "tiny_bundle"
    make_samples(tmp_path, bundle)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("page", PYTHON)
@pytest.mark.usefixtures("workplace")
def test_python_runs_word_for_word(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = readme_names() if page == "README.md" else {}
    found = code(page, "python")
    assert found, "no code on the page"
    for number, block in enumerate(found):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
    assert page == "docs/install.md" or np.any(np.asarray(names["labels"])), "nothing was segmented"
    if page == "docs/guide_3d.md":
        assert "volume: cancelled by the caller" in capsys.readouterr().out


@pytest.mark.parametrize("page", RUN)
def test_shell_lines_run_word_for_word(page: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in command_lines(page) if line[0] not in ONLY_WORDS]
    assert lines, "no commands on the page"
    for words in lines:
        assert run(words) == 0, (words, capsys.readouterr().err)
        for option in ("-o", "--overlay", "--preview", "--csv", "--plot"):
            if option in words:
                assert (workplace / words[words.index(option) + 1]).exists(), words


@pytest.mark.parametrize("page", [source_of(page) for page in sorted(pages())])
def test_commands_and_options_exist(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in command_lines(page):
        capsys.readouterr()
        assert run([words[0], "--help"]) == 0, words
        said = capsys.readouterr().out
        for option in (word for word in words[1:] if word.startswith("--")):
            assert re.search(rf"{option}\b", said), f"{page}: {words[0]} has no {option}"


@pytest.mark.parametrize("page", [source_of(page) for page in sorted(pages())])
def test_every_block_can_be_read(page: str) -> None:
    """By the shell, by Python; what is neither says what it is (text, cmake, cpp)."""
    shell = shutil.which("bash")
    assert shell
    text = (ROOT / page).read_text(encoding="utf-8")
    found = page_blocks.blocks(ROOT / page)
    assert 2 * len(found) == len(re.findall(r"^ *```", text, re.MULTILINE)), "a fence is left open"
    marks = re.findall(r"^ *<!-- not run: ", text, re.MULTILINE)
    assert len(marks) == sum(block.not_run is not None for block in found), "a mark without its block"
    for block in found:
        if block.is_shell:
            done = subprocess.run([shell, "-n", "-c", block.text], check=False, capture_output=True, text=True)
            assert done.returncode == 0, f"{page}:{block.line}: {done.stderr}"
        elif block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")
        else:
            assert block.language in {"text", "cmake", "cpp", "c", "js", "json", "toml", "yaml"}, f"{page}:{block.line}"


def test_marks_and_continued_lines_of_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n<!-- not run: needs root -->\n```\nsudo a  # why\n```\n\n"
        '1. b\n\n   ```sh\n   c \\\n     --d "#e"\n   # all of it\n   f\n   ```\n\n```text\nout\n```\n'
    )
    first, second, third = page_blocks.blocks(page)
    assert (first.not_run, first.commands(), first.line) == ("needs root", ["sudo a"], 5)
    assert (second.not_run, second.commands(), second.line) == (None, ['c --d "#e"', "f"], 11)
    assert (third.is_shell, third.text) == (False, "out\n")


def test_workflows_and_citation_are_what_their_readers_want() -> None:
    for path in sorted((ROOT / ".github").rglob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="ascii"))
        assert content["jobs"], path
        assert "never run" in path.read_text("ascii"), f"{path}: says that it has not been tried"
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("ascii"))["jobs"]["all"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="ascii"))
    assert citation["cff-version"] == "1.2.0"
    for entry in (citation, *citation["references"]):
        assert entry["title"]
        assert all("family-names" in author or "name" in author for author in entry["authors"])


@pytest.mark.parametrize("page", sorted(pages()))
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / source_of(page)).read_text(encoding="utf-8")
    shown = site_links(text, page)  # FileNotFoundError names a broken link
    assert BLOCK.findall(shown) == BLOCK.findall(text), "code blocks stay as they are"


def test_the_start_page_is_the_readme() -> None:
    assert OUTSIDE["README.md"] == "index.md"
    assert not (ROOT / "docs" / "index.md").exists()
    assert not (ROOT / "docs" / "README.md").exists()


def test_a_broken_link_is_found_and_a_source_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"docs/c\.md: the link to nowhere\.md leads to no file"):
        site_links("see [this](nowhere.md)", "c.md")
    assert site_links("[the map](../CMakeLists.txt), [README](../README.md#use-it)", "c.md") == (
        "the map (`CMakeLists.txt`), [README](index.md#use-it)"
    )
    assert site_links("[f](docs/families)", "index.md") == "[f](families/README.md)"


def literals() -> str:
    """All string literals of the sources, one after the other, neighbors joined and values as U+0000."""
    text = ""
    for folder, pattern in (("cpp/src", "*.cpp"), ("python/medsam_engine", "*.py")):
        for path in sorted((ROOT / folder).rglob(pattern)):
            source = re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
            text += "\n".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', source)) + "\n"
    return re.sub(r"\{[^{}\n]*\}", "\0", text.replace('\\"', '"'))


def test_every_error_of_troubleshooting_is_in_the_sources() -> None:
    rows = re.findall(
        r"^\| (`.*`) \| (\w+) \|", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 30
    sources = literals()
    for lines, kind in rows:
        assert issubclass(getattr(medsam_engine, kind), medsam_engine.Error)
        for line in re.findall(r"`([^`]+)`", lines):
            for part in filter(None, re.split(r" ?\.\.\. ?", line)):
                assert part in sources, f"troubleshooting.md: no source says {part!r}"


def test_every_error_class_has_its_line_of_troubleshooting_and_errors() -> None:
    kinds = {kind.__name__ for kind in medsam_engine.Error.__subclasses__()}
    page, table = ((ROOT / "docs" / name).read_text("utf-8") for name in ("troubleshooting.md", "errors.md"))
    assert kinds == set(re.findall(r"^\| .* \| (\w+) \| .* \|$", page, re.MULTILINE)) - {"Class"}
    assert kinds <= set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


HOSTS = {
    "cpp": """#include <cstddef>
#include <cstdint>
#include <vector>
{includes}
void host(const std::uint16_t* pixels, std::int64_t height, std::int64_t width, std::ptrdiff_t row_stride_bytes) {{
{body}
}}
""",
    "c": """#include <stdint.h>
#include <stdio.h>
{includes}
int host(const void* pixels, void* labels, int64_t height, int64_t width, int64_t row_stride_bytes) {{
{body}
  return 0;
}}
""",
}


@pytest.mark.parametrize(("page", "language"), [("README.md", "cpp"), ("docs/cpp.md", "cpp"), ("docs/c.md", "c")])
def test_cpp_and_c_compile(page: str, language: str, tmp_path: Path) -> None:
    """The code in a function of a host, against the public headers alone."""
    compiler = shutil.which("c++" if language == "cpp" else "cc")
    if compiler is None:
        pytest.skip("no compiler")
    (tmp_path / "medsam").mkdir()
    headers = ROOT / "cpp" / "include"
    version = (headers / "medsam" / "version.hpp.in").read_text(encoding="ascii")
    (tmp_path / "medsam" / "version.hpp").write_text(re.sub(r"@\w+@", "0", version), encoding="ascii")
    found = code(page, language)
    assert found
    for block in found:
        lines = block.splitlines()
        includes = [line for line in lines if line.startswith("#include")]
        body = [line for line in lines if not line.startswith("#include")]
        source = tmp_path / f"host.{language}"
        source.write_text(HOSTS[language].format(includes="\n".join(includes), body="\n".join(body)), encoding="ascii")
        standard = "-std=c++17" if language == "cpp" else "-std=c11"
        arguments = [
            compiler,
            standard,
            "-fsyntax-only",
            "-Wall",
            "-Werror",
            "-Wno-unused",
            f"-I{headers}",
            f"-I{tmp_path}",
        ]
        done = subprocess.run([*arguments, source], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["EngineInfo", "ImageEmbedding", "CacheStats", "CaseReport", "FolderReport"])
def test_every_member_of_a_compiled_class_is_documented(name: str) -> None:
    """In the stubs, from which editors and the reference take it."""
    stubs = ast.parse((ROOT / "python" / "medsam_engine" / "_core.pyi").read_text(encoding="ascii"))
    (kind,) = (node for node in stubs.body if isinstance(node, ast.ClassDef) and node.name == name)
    assert ast.get_docstring(kind)
    members = [node for node in kind.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    assert len(members) >= 6
    assert [node.name for node in members if not ast.get_docstring(node)] == []


def test_every_public_name_of_python_is_documented() -> None:
    for name in medsam_engine.__all__:
        value = getattr(medsam_engine, name)
        assert value.__doc__, name
        if isinstance(value, type) and value.__module__ != "medsam_engine._core":
            for member, what in vars(value).items():
                assert member.startswith("_") or what.__doc__, f"{name}.{member}"
