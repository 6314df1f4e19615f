# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Names of a package whose modules are imported when one of the names is first used (PEP 562)."""

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(package: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Returns the `__getattr__` of `package`.

    Args:
        package: the package's `__name__`.
        names: for each public name, the module that has it. A type checker needs the imports as well, under
            `TYPE_CHECKING`.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name]), name)
        setattr(sys.modules[package], name, value)  # the next use does not come here
        return value

    return get
