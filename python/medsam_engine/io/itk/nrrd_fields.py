# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The fields of a NRRD header that ITK gets to see, checked and written anew.

ITK's NRRD library writes the message of an error into a buffer of fixed size, the refused text included: a field that
it does not understand, and that is long, ends the process or worse. So each is known here to be one it understands,
and short (teem.sourceforge.net/nrrd/format.html, "Basic" to "Orientation information").
"""

import re
from collections.abc import Callable
from pathlib import Path

from medsam_engine.io.itk.plain_header import LARGEST, not_plain, whole_number

_SPACES = {
    name: axes
    for axes, names in {
        3: "right-anterior-superior|RAS|left-anterior-superior|LAS|left-posterior-superior|LPS|scanner-xyz|"
        "3D-right-handed|3D-left-handed",
        4: "right-anterior-superior-time|RAST|left-anterior-superior-time|LAST|left-posterior-superior-time|LPST|"
        "scanner-xyz-time|3D-right-handed-time|3D-left-handed-time",
    }.items()
    for name in names.lower().split("|")
}
_KINDS = (
    "domain space time list point vector covariant-vector normal stub scalar complex 2-vector 3-color RGB-color "
    "HSV-color XYZ-color 4-color RGBA-color 3-vector 3-gradient 3-normal 4-vector quaternion "
    "2D-symmetric-matrix 2D-masked-symmetric-matrix 2D-matrix 2D-masked-matrix 3D-symmetric-matrix "
    "3D-masked-symmetric-matrix 3D-matrix 3D-masked-matrix none ???"
)
_KIND = {kind.lower(): kind for kind in _KINDS.split()}
_CENTERINGS = {word: word for word in ("cell", "node", "none", "???")}
_ENDIAN = {word: word for word in ("little", "big")}
_MILLIMETERS = {"mm", "millimeter", "millimeters", "millimetre", "millimetres", "", "???"}
_NUMBER = re.compile(r"[-+]?(\d{1,24}\.?\d{0,24}|\.\d{1,24})([eE][-+]?\d{1,3})?|[nN][aA][nN]", re.ASCII)
_VECTOR = re.compile(r"\(([^()]{1,400})\)|none", re.ASCII)


def _number(word: str, name: str, path: Path) -> str:
    if not _NUMBER.fullmatch(word) or abs(float(word)) > LARGEST:
        raise not_plain(path, f"{name} '{word[:40]}'", "a number")
    return repr(float(word))


def _words(value: str, count: int, name: str, path: Path, check: Callable[[str], str]) -> str:
    words = value.split()
    if len(words) != count:
        raise not_plain(path, f"{len(words)} words in {name}", f"{count}, one for each axis")
    return " ".join(check(word) for word in words)


def _one_of(known: dict[str, str], name: str, path: Path) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word.lower() not in known:
            raise not_plain(path, f"{name} '{word[:40]}'", "a word of the format")
        return known[word.lower()]

    return check


def _vectors(value: str, count: int, space: int, name: str, path: Path) -> str:
    vectors = [match[1] for match in _VECTOR.finditer(value)]
    if len(vectors) != count or _VECTOR.sub("", value).strip():
        raise not_plain(path, f"{name} '{value[:60]}'", f"{count} vectors")
    written = []
    for vector in vectors:
        numbers = None if vector is None else [word.strip() for word in vector.split(",")]
        if numbers is not None and len(numbers) != space:
            raise not_plain(path, f"a vector of {len(numbers)} numbers in {name}", f"{space}, as the space has axes")
        written.append("none" if numbers is None else f"({','.join(_number(word, name, path) for word in numbers)})")
    return " ".join(written)


def _space_axes(fields: dict[str, str], path: Path) -> int:
    if "space" in fields and "space dimension" in fields:
        raise not_plain(path, "a space and a space dimension", "one of them")
    if "space" in fields:
        axes = _SPACES.get(fields["space"].lower())
        if axes is None:
            raise not_plain(path, f"the space '{fields['space'][:40]}'", "one of the format")
        return axes
    axes = whole_number(fields.get("space dimension", "0"), 0, "a space dimension of", path)
    if axes > 4:
        raise not_plain(path, f"a space dimension of {axes}", "at most 4")
    return axes


def checked_fields(fields: dict[str, str], dimension: int, path: Path) -> dict[str, str]:
    """`fields`, by their canonical names, of a file of `dimension` axes, in a spelling of ours.

    InvalidArgument: a field that is none of the format's, or a space that is not measured in millimeters.
    """
    space = _space_axes(fields, path)
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if any(unit.strip().lower() not in _MILLIMETERS for unit in units):
        raise not_plain(path, f"the space units {' '.join(units)[:60]}", "mm")
    written: dict[str, str] = {}
    for name, value in fields.items():
        match name:
            case "space":
                written[name] = value
            case "space dimension":
                written[name] = str(space)
            case "kinds" | "centerings":
                known = _KIND if name == "kinds" else _CENTERINGS
                written[name] = _words(value, dimension, name, path, _one_of(known, name, path))
            case "endian":
                written[name] = _one_of(_ENDIAN, name, path)(value)
            case "space origin" | "space directions":
                written[name] = _vectors(value, 1 if name == "space origin" else dimension, space, name, path)
            case "spacings" | "axis mins" | "axis maxs" | "thicknesses":
                written[name] = _words(
                    value, dimension, name, path, lambda word: _number(word, "a number of axes", path)
                )
    return written
