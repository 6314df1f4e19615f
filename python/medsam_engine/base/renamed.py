# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Old names of parameters, which work for one release and warn."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Emits a DeprecationWarning at the caller's caller (or `stacklevel` frames up)."""
    warnings.warn(f"{old} is called {new} now; the old name goes in version 0.2", DeprecationWarning, stacklevel)


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets a function be called with old keywords, given as `old="new"`.

    The decorated function raises TypeError if a call has both names.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old, new in names.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise TypeError(f"{function.__qualname__}() got {old} and {new}, which are the same; give {new}")
                warn_renamed(old, new)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
