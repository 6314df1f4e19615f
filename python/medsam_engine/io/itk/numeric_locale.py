# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Numbers with a decimal point in libraries that read and write them by the host's locale.

Python itself never does, but C's strtod and printf do, and a host may have called setlocale in the user's language, as
every Qt program has. ITK then reads a spacing of 1.75 as 1.
"""

import ctypes
import locale
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def numeric_locale_c() -> Iterator[None]:
    """C's numbers for the calling thread; other threads and the process's locale stay as they are.

    Not locale.setlocale: it changes the whole process while other threads print and parse.
    """
    if sys.platform == "win32":  # its C library starts in "C", and Qt leaves it there
        yield
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "uselocale"):  # older than POSIX 2008
        yield
        return
    for name in ("newlocale", "uselocale", "duplocale"):
        getattr(libc, name).restype = ctypes.c_void_p
    host = libc.duplocale(ctypes.c_void_p(libc.uselocale(None)))
    ours = libc.newlocale(1 << locale.LC_NUMERIC, b"C", ctypes.c_void_p(host))
    if not ours:
        raise MemoryError("newlocale failed")
    before = libc.uselocale(ctypes.c_void_p(ours))
    try:
        yield
    finally:
        libc.uselocale(ctypes.c_void_p(before))
        libc.freelocale(ctypes.c_void_p(ours))
