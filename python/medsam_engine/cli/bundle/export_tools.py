# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The bridge to medsam_engine_tools, which needs torch and is imported only when a command asks for it."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from medsam_engine.base.packages import EXPORT, missing, pip_install
from medsam_engine.cli.terminal import say
from medsam_engine.errors import InvalidArgument

# Another missing module is a fault of ours, not of the installation.
_EXPORT_MODULES = (*EXPORT, "onnx_ir")


@contextmanager
def export_tools(what: str, needs: Sequence[str] = EXPORT) -> Iterator[None]:
    """Turns the tools' one exception, and an installation without what `what` needs, into InvalidArgument."""
    try:
        # Not `import torch`: this package stays free of the name, and a linter holds it to that.
        for name in needs:
            importlib.import_module(name)
        from medsam_engine_tools.errors import ExportError
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _EXPORT_MODULES:
            raise
        raise InvalidArgument(
            f"{what}: got no module {error.name}, expected the exporter's libraries (torch is only needed here, and "
            f"its CPU build is enough); {pip_install(*(missing(needs) or [error.name]))}"
        ) from error
    try:
        yield
    except ExportError as error:
        raise InvalidArgument(f"{what}: {error}") from error


class ProgressLine:
    """Prints each step as it starts."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def __call__(self, text: str) -> None:
        """One line of progress."""
        say(self._console, text)
