# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The fenced code of a Markdown page, and which of it is to be run.

A block is run unless an HTML comment stands in front of it, ``<!-- not run: REASON -->``, which a reader does not see.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

SHELL = ("", "sh", "bash", "shell")  # languages of commands; what a program prints is `text` or `console`
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^>]+?) -->\s*?\n\s*?)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: its page's name, the line of its first word there, its language, and why it is not run."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def is_shell(self) -> bool:
        """Whether it holds commands for a shell."""
        return self.language in SHELL

    def commands(self) -> list[str]:
        """Its commands, one each, whole over continued lines; comments left out."""
        found: list[str] = []
        whole = re.sub(r"\\\n\s*", "", self.text)
        for line in whole.splitlines():
            command = re.sub(r"(^|\s)#.*$", "", line).strip()
            if command:
                found.append(command)
        return found


def blocks(path: Path) -> list[Block]:
    """All blocks of a page, in its order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        code = textwrap.dedent(match["text"])
        found.append(Block(path.name, line, match["language"], code, match["reason"]))
    return found
