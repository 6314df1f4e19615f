# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the tests of `medsam-engine run` with a table of cases share."""

from collections.abc import Callable

import pytest
from case_fixtures import scans, tiny_bundle  # noqa: F401  # fixtures


@pytest.fixture
def errors(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Gives the lines on standard error since the last call; standard output stays free for pipes."""

    def lines() -> list[str]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    return lines


@pytest.fixture
def only_error(errors: Callable[[], list[str]]) -> Callable[[], str]:
    """The same where there is one line."""

    def line() -> str:
        lines = errors()
        assert len(lines) == 1, lines
        return lines[0]

    return line
