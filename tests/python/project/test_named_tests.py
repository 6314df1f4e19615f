# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Pages that name tests as their proof name tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("tests/python/serve", "tests/python", "tests", ".")


def file_of(name: str) -> Path:
    """The file that a page means; `...` stands for folders."""
    for folder in FOLDERS:
        found = sorted((ROOT / folder).glob(name.replace("...", "**")))
        if found:
            return found[0]
    pytest.fail(f"{name}: no such file")


@pytest.mark.parametrize("page", ["docs/serve.md", "docs/complaints.md"])
def test_named_tests_exist(page: str) -> None:
    """`file.py::test`, and `::test` of the file that was named before it."""
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`([\w./-]*)::(test_\w+)`", text)
    assert len(named) > 8
    source = ""
    for file, test in named:
        if file:
            source = file_of(file).read_text("utf-8")
        assert re.search(rf"def {test}\(", source), f"{page}: {file}::{test}"


@pytest.mark.parametrize("page", ["docs/complaints.md"])
def test_named_files_exist(page: str) -> None:
    for name in re.findall(r"`([\w./-]+\.(?:py|cpp))`", (ROOT / page).read_text("utf-8")):
        assert file_of(name).is_file()
