# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Places that are a path on this machine or a URL, such as s3://bucket/scan.nii.gz. Nothing is opened here."""

import os
import re
from pathlib import PurePath, PurePosixPath

# Two letters at least: one is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(place: str) -> bool:
    """Whether a place has a scheme, as in s3:// and memory://; any other is a path on this machine."""
    return _SCHEME.match(place) is not None


def joined(folder: str, name: str) -> str:
    """The place of `name`, which is absolute, a URL, or relative to `folder`, a path or a URL."""
    if is_url(name):
        return name
    if is_url(folder):
        return f"{folder.rstrip('/')}/{name.lstrip('/')}"
    return os.path.join(folder, name)


def last_name(place: str) -> str:
    """The last part of a place."""
    return PurePosixPath(place).name if is_url(place) else PurePath(place).name


def parent(place: str) -> str:
    """The folder in which a place lies."""
    if is_url(place):
        scheme, _, rest = place.partition("://")
        return f"{scheme}://{rest.rstrip('/').rpartition('/')[0]}"
    return str(PurePath(place).parent)
