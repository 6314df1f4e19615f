# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Text from files on its way to a terminal, a log or a table: nothing in it may be obeyed."""

# Spreadsheets take a cell that begins so for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object) -> str:
    r"""str(text) with every character that is not printed as itself written as Python's escape, so in one line.

    That is all of newline, ESC, BEL and the other C0 and C1 controls, bidirectional overrides and other format
    characters, line and paragraph separators, and unpaired surrogates (bytes of a file's name that are no UTF-8):
    "a\x1b[2J" becomes r"a\x1b[2J". Idempotent.
    """
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


def one_line(error: object, most: int = 400) -> str:
    """What a library says, for the end of a message: printable, its lines joined, cut after `most` characters."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return cut(text, most)


def cut(text: str, most: int) -> str:
    """`text`, or the beginning of it and "..." where it has more than `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def csv_cell(text: object) -> str:
    """A cell of text in a CSV table: printable, and after an apostrophe where a spreadsheet would see a formula.

    For text only; numbers are written as they are.
    """
    plain = str(text)
    return ("'" if plain.startswith(_FORMULA) else "") + printable(plain)


def csv_text_of(cell: str) -> str:
    """The text that csv_cell made `cell` of, where nothing in it was escaped."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
