# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A locale that writes 1.000,5, made for a test; none needs to be installed."""

import ctypes
import locale
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The file that localedef writes for LC_NUMERIC (glibc, locale/programs/ld-numeric.c): a magic number, a count, that
# many offsets, then decimal point, thousands separator, grouping, the first two as wide characters, and the charset.
_NUMERIC = struct.pack(
    "8I8sII6s", 0x20031115 ^ 1, 6, 32, 34, 36, 40, 44, 48, b",\0.\0\3\3\0\0", ord(","), ord("."), b"UTF-8\0"
)


def printed(value: float) -> str:
    """`value` as the C library prints it now."""
    text = ctypes.create_string_buffer(32)
    ctypes.CDLL(None).snprintf(text, ctypes.c_size_t(32), b"%g", ctypes.c_double(value))
    return text.value.decode()


@contextmanager
def comma_locale(folder: Path) -> Iterator[None]:
    """Chosen for the whole process, as a Qt host does it. Skips where the C library is not glibc."""
    (folder / "comma").mkdir(exist_ok=True)
    (folder / "comma" / "LC_NUMERIC").write_bytes(_NUMERIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCPATH", str(folder))
        try:
            locale.setlocale(locale.LC_NUMERIC, "comma")
        except locale.Error:
            pytest.skip("this C library reads no LC_NUMERIC of glibc's form")
        try:
            assert printed(1.75) == "1,75"
            yield
        finally:
            locale.setlocale(locale.LC_NUMERIC, "C")
