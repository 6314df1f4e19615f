# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The words of `medsam-engine export`; what it does with them is tests/python/tools."""

from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli.bundle.export import named_files
from medsam_engine.errors import InvalidArgument


def test_experts_are_named_files() -> None:
    assert named_files(["3D=a.pth", "US=b=c.pth"]) == {"3D": Path("a.pth"), "US": Path("b=c.pth")}
    assert named_files([]) == {}


@pytest.mark.parametrize("word", ["3D", "3D=", "=a.pth", ""])
def test_a_word_of_another_form_is_refused(word: str) -> None:
    with pytest.raises(InvalidArgument, match=r"--expert: got '.*', expected NAME=FILE"):
        named_files([word])


def test_an_expert_comes_once() -> None:
    with pytest.raises(InvalidArgument, match="got '3D' twice"):
        named_files(["3D=a.pth", "3D=b.pth"])
