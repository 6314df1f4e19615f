# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Places that are a path on this machine or a URL, such as s3://bucket/scan.nii.gz. Nothing is opened here."""

import os
import re
from pathlib import PurePath, PurePosixPath

from medsam_engine.errors import InvalidArgument

# Two letters at least: one is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(place: str) -> bool:
    """Whether a place has a scheme, as in s3:// and memory://; any other is a path on this machine."""
    return _SCHEME.match(place) is not None


def check_address(what: str, place: str) -> None:
    """InvalidArgument, beginning with `what`, for a URL with a user, a query or a fragment, and for no other place.

    They hold passwords and signatures, which records, logs and names of answers would show.
    """
    if not is_url(place):
        return
    scheme, _, rest = place.partition("://")
    host = rest.partition("/")[0]
    for mark, found, remedy in (
        ("a user or password", "@" in host, "give them where fsspec has them for this kind of URL"),
        ("a query", "?" in place, "give a URL that needs none, or fetch the file first"),
        ("a fragment", "#" in place, "leave out what begins with #"),
    ):
        if found:
            shown = f"{scheme}://{re.split('[?#]', rest.rpartition('@')[2], maxsplit=1)[0]}"
            raise InvalidArgument(
                f"{what}: got a URL with {mark} in it ({shown} without), expected none, because records and logs show "
                f"it; {remedy}"
            )


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
