# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Libraries that only some files need, imported when one does: a thin installation has none of them."""

import importlib
from types import ModuleType

from medsam_engine.base.packages import pip_install
from medsam_engine.errors import Unsupported


def require(module: str, purpose: str) -> ModuleType:
    """Imports `module`. Unsupported names the command that installs it when it is absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise Unsupported(
            f"{purpose}: got no package {package}, expected it installed; {pip_install(package)}"
        ) from error
