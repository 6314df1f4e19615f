# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The mark `needs("links")`: what not every system has, POSIX's ways above all. Each has its reason here."""

import sys
from importlib.util import find_spec

import pytest

# Why a test is skipped on Windows.
_ON_WINDOWS = {
    "links": "a symbolic link takes a right on Windows that users do not have",
    "pipes": "Windows has no pipes, devices and sockets among files",
    "signals": "no program can send SIGINT or SIGTERM to another one on Windows",
    "fork": "Windows has no fork, by which a run is watched",
    "select": "select waits for sockets alone on Windows, and not for the pipe of a process",
    "byte names": "names of files are characters on Windows, not bytes",
    "any name": "a name of a file has no control characters on Windows",
    "bash": "there is no bash whose version could be asked",
    "open removal": "a folder with an open file cannot be removed on Windows",
    "scripts": "needs a POSIX shell, with its scripts and limits",
}


def absent(what: str) -> str | None:
    """The reason why a test that needs this is skipped here; None where it runs. KeyError: no such word."""
    if what == "openvino":  # in whose place `make wheel-windows` has a stand-in for the tiny bundle's graphs
        return None if find_spec("openvino") is not None else "OpenVINO is not installed"
    reason = _ON_WINDOWS[what]
    return reason if sys.platform == "win32" else None


def skip_absent(item: pytest.Item) -> None:
    """Skips a test that needs what is not here."""
    for mark in item.iter_markers("needs"):
        reason = absent(*mark.args)
        if reason is not None:
            pytest.skip(reason)
