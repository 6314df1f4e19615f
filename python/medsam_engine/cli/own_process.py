# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whether a command has the process for itself, so that it may copy it (fork): not where a program calls `run`."""

from typing import Final

OWN_PROCESS: Final = object()
