# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Marks of tests of what not every system has, POSIX's ways above all: each says what it is."""

import sys
from importlib.util import find_spec

import pytest

_WINDOWS = sys.platform == "win32"

needs_links = pytest.mark.skipif(_WINDOWS, reason="a symbolic link takes a right on Windows that users do not have")
needs_pipes = pytest.mark.skipif(_WINDOWS, reason="Windows has no pipes, devices and sockets among files")
needs_signals = pytest.mark.skipif(_WINDOWS, reason="no program can send SIGINT or SIGTERM to another one on Windows")
needs_fork = pytest.mark.skipif(_WINDOWS, reason="Windows has no fork, by which a run is watched")
needs_select = pytest.mark.skipif(_WINDOWS, reason="Windows waits for sockets by select, and for no pipe of a process")
needs_byte_names = pytest.mark.skipif(_WINDOWS, reason="names of files are characters on Windows, not bytes")
needs_any_name = pytest.mark.skipif(_WINDOWS, reason="no control character is in a name of Windows")
needs_bash = pytest.mark.skipif(_WINDOWS, reason="there is no bash whose version could be asked")
needs_open_removal = pytest.mark.skipif(_WINDOWS, reason="a folder with an open file cannot be removed on Windows")
needs_scripts = pytest.mark.skipif(_WINDOWS, reason="needs a POSIX shell, with its scripts and limits")
# `make wheel-windows` has the fake backend in its place, which computes the graphs of tests/data/tiny_bundle alone.
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
