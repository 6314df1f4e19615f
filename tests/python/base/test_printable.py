# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one function through which text from files goes to a terminal, a log or a table."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam_engine.base.printable import csv_cell, csv_text_of, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, [red]", "plain text, [red]"),
        ("Gr\xf6\xdfe \xb5m \u65ad\u5c64", "Gr\xf6\xdfe \xb5m \u65ad\u5c64"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b2J\x85\x7f", r"\x9b2J\x85\x7f"),
        ("\u202egnp.exe\u2066\u200f\u061c", r"\u202egnp.exe\u2066\u200f\u061c"),
        ("\u2028\u2029\ufeff\u200b\xad", r"\u2028\u2029\ufeff\u200b\xad"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("a\x00b", r"a\x00b"),
    ],
)
def test_nothing_is_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_always_printable_and_idempotent(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode("utf-8")


def test_one_line_joins_and_cuts() -> None:
    assert one_line("a\n  b\x1b") == r"a b\x1b"
    assert one_line(ValueError()) == "ValueError" or one_line(ValueError()) == ""
    assert len(one_line("x" * 1000)) == 400


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_is_no_formula(start: str) -> None:
    cell = csv_cell(f"{start}cmd|' /C calc'!A0.npz")
    assert cell.startswith("'")
    assert cell.isprintable()


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).filter(lambda t: not t.startswith("'")))
def test_cells_come_back(text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([csv_cell(text)])
    assert csv_text_of(next(csv.reader([written.getvalue()]))[0]) == printable(text)
