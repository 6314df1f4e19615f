# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Optional libraries, imported when a file needs them."""

import importlib
from types import ModuleType

from medsam_engine.errors import Unsupported


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports `module`. Unsupported names the extra to install when it is absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise Unsupported(
            f"{purpose}: got no package {package}, expected it installed; pip install 'medsam-engine[{extra}]'"
        ) from error
