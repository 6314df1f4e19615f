# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Rows with a bar each, printed as they are measured."""

from __future__ import annotations

from typing import SupportsFloat


class Table:
    """A table in Markdown."""

    def __init__(self) -> None:
        self._missed = 0
        print("| What | Measured | Bar | Met |\n| --- | ---: | ---: | --- |", flush=True)

    def add(self, what: str, figure: SupportsFloat, bar: float | None, unit: str) -> None:
        """A figure that should not be above its bar; None = it has none."""
        value = float(figure)
        met = "" if bar is None else "yes" if value <= bar else "no"
        self._missed += met == "no"
        shown = "" if bar is None else f"{_text(bar, unit)}"
        print(f"| {what} | {_text(value, unit)} | {shown} | {met} |", flush=True)

    def end(self) -> None:
        """Says how many bars were missed."""
        print(f"\nbars missed: {self._missed}")


def _text(value: float, unit: str) -> str:
    return f"{value:.2f} s" if unit == "s" else f"{value:.1f} ms"
