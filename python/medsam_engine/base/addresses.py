# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Places that are a path on this machine or a URL, such as s3://bucket/scan.nii.gz. Nothing is opened here."""

import os
import posixpath
import re
from pathlib import PurePath, PurePosixPath

from medsam_engine.errors import InvalidArgument

# Two letters at least: one is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Of Azure's Data Lake: what stands before the @ is a container.
_CONTAINER = re.compile(r"abfss?://[^:@/]*@", re.IGNORECASE)


def is_url(place: str) -> bool:
    """Whether a place has a scheme, as in s3:// and memory://; any other is a path on this machine."""
    return _SCHEME.match(place) is not None


def local_place(place: str) -> str | None:
    """The path of a place on this machine, which is one itself or a URL of file://; None: it is elsewhere."""
    if not is_url(place):
        return place
    scheme, _, rest = place.partition("://")
    return os.path.expanduser(rest) if scheme.lower() in ("file", "local") else None  # as fsspec has them


def is_below(place: str, folder: str) -> bool:
    """Whether a URL is that of `folder`, which is a URL too, or of something in it, as far as their texts say."""
    one, other = (_plain(url) for url in (place, folder))
    return one[: len(other)] == other


def _plain(url: str) -> list[str]:
    scheme, _, rest = url.partition("://")
    path = posixpath.normpath("/" + rest.lstrip("/"))
    return [scheme.lower(), *(part for part in path.split("/") if part)]


def secret_in(url: str) -> str | None:
    """What a URL holds that records and logs must not show, or that is no part of a name; None = nothing."""
    host = url.partition("://")[2].partition("/")[0]
    if "@" in host and _CONTAINER.match(url) is None:
        return "a user or password"
    return next((what for mark, what in (("?", "a query"), ("#", "a fragment")) if mark in url), None)


def check_url(option: str, place: str) -> None:
    """InvalidArgument: a place is a URL with a user or password, a query or a fragment, of which nothing is shown."""
    what = secret_in(place) if is_url(place) else None
    if what is not None:
        scheme = place.partition("://")[0]
        raise InvalidArgument(
            f"{option}: got a URL of {scheme}:// with {what} in it, which records and logs would show, expected none; "
            "give the access in the configuration of fsspec or of the storage's package, or fetch the file first"
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
