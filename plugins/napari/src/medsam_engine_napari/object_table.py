# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The objects as the panel lists them: a label that never changes, a name that may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, SessionObject

PREFIX = "object "


@dataclass
class ListedObject:
    """One object.

    Attributes:
        label: its value in the Labels layer, from 1 on; never given to another object.
        name: what the user calls it.
        kept: listed although it has nothing yet, or no longer.
    """

    label: int
    name: str
    kept: bool = True

    @property
    def key(self) -> str:
        """Its name in the session, which cannot rename."""
        return f"{PREFIX}{self.label}"


class ObjectTable:
    """All objects that there have been. Not thread-safe: of the thread of the viewer."""

    def __init__(self) -> None:
        self._all: list[ListedObject] = []

    def add(self, name: str = "") -> ListedObject:
        """A new object, "object N" unless a name is given."""
        added = ListedObject(len(self._all) + 1, "")
        added.name = self._free(name or added.key, added)
        self._all.append(added)
        return added

    def rename(self, renamed: ListedObject, name: str) -> None:
        """Gives an object a name that no listed one has."""
        renamed.name = self._free(name, renamed)

    def listed(self, found: Iterable[SessionObject]) -> list[ListedObject]:
        """Those that are kept or in the session, in the order in which they were added."""
        keys = {each.name for each in found}
        return [each for each in self._all if each.kept or each.key in keys]

    def names(self) -> dict[int, str]:
        """The names by label."""
        return {each.label: each.name for each in self._all}

    def _free(self, name: str, owner: ListedObject) -> str:
        name = name.strip()
        if not name:
            raise InvalidArgument("name: got none, expected a name for the object")
        if any(each.name == name and each is not owner for each in self._all):
            raise InvalidArgument(f"name: got {name!r}, which another object has or had; choose another one")
        return name


def relabeled(found: Sequence[SessionObject], labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The values of Session.labels(), k + 1 for the session's k-th object, as labels of the list."""
    wanted = [int(each.name.removeprefix(PREFIX)) for each in found]
    if wanted == list(range(1, len(wanted) + 1)):
        return labels.astype(np.uint16, copy=False)  # a look-up in 120 x 512 x 512 voxels would take 50 ms
    values: NDArray[np.uint16] = np.array([0, *wanted], np.uint16)
    return values[labels]
