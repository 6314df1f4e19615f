# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The readers' edge: whatever the decoding libraries raise leaves as one of the package's own errors, in one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from medsam_engine.base.printable import cut, one_line, printable
from medsam_engine.errors import Error, InvalidArgument, OutOfMemory

_LONGEST = 2000  # characters of a message; a file may hold text of any length


@contextmanager
def reading(path: str | os.PathLike[str], what: str = "image") -> Iterator[None]:
    """Around everything that looks at `path`.

    Libraries raise what they like on a damaged file: RecursionError for deep nesting, struct.error, IndexError,
    KeyError, OverflowError, MemoryError. What a file holds may be in a message of ours too, so that is made printable.
    NumPy neither warns of what it computes with a file's numbers nor raises, whatever the host has set with
    `np.seterr`: infinity and NaN are looked for where they matter.

    Raises:
        OutOfMemory: an allocation failed.
        Error: those raised inside, printable.
        InvalidArgument: any other exception.
    """
    name = printable(os.fspath(path))
    try:
        with np.errstate(all="ignore"):
            yield
    except Error as error:
        text = str(error)
        if what != "image" and text.startswith("image: "):  # a reader that does not know what its file is to the caller
            text = f"{what}: {text.removeprefix('image: ')}"
        text = cut(printable(text), _LONGEST)
        if text == str(error):
            raise
        raise type(error)(text) from error
    except MemoryError as error:
        raise OutOfMemory(
            f"{what}: got {name}, expected one that fits into memory; free some, or set a limit with --max-bytes "
            "(max_bytes=)"
        ) from error
    except RecursionError as error:
        raise InvalidArgument(f"{what}: got {name}, expected a file nested less deeply; it is damaged") from error
    except OSError as error:
        reason = one_line(error.strerror or error)
        raise InvalidArgument(f"{what}: got {name}, expected a readable file; {reason}") from error
    except Exception as error:
        reason = one_line(error)
        raise InvalidArgument(
            f"{what}: got {name}, expected a whole file; it is damaged ({type(error).__name__}: {reason})"
        ) from error
