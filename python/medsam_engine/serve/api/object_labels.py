# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a session does not know of its objects: the name and the color that a person has given them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from medsam_engine.base.whole_file import write_atomically
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.label_colors import label_colors
from medsam_engine.io.label_names import cleaned
from medsam_engine.serve.log import log_event
from medsam_engine.serve.save_folder import make_save_folder

_LARGEST = 1 << 20
_COLOR = re.compile("#[0-9a-f]{6}")


class ObjectLabels:
    """Names and colors by the object's key, which is its name in the session; kept in a private file beside it.

    Args:
        file: None = kept nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._names: dict[str, str] = {}
        self._colors: dict[str, str] = {}
        if file is not None and file.is_file() and file.stat().st_size <= _LARGEST:
            self._take(file)

    def _take(self, file: Path) -> None:
        try:
            content = json.loads(file.read_text("utf-8"))
            pairs = [(str(key), str(name), str(color)) for key, (name, color) in content.items()]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log_event("labels_not_resumed", error=type(error).__name__)  # the masks are in the session's own file
            return
        for key, name, color in pairs:
            self._names[key] = cleaned(name)[:64] or key
            if _COLOR.fullmatch(color):
                self._colors[key] = color

    def name(self, key: str) -> str:
        """The key until a name was given."""
        return self._names.get(key, key)

    def color(self, key: str) -> str:
        """#rrggbb. A key that is new gets the next color of the package's own order, and keeps it."""
        if key not in self._colors:
            red, green, blue = label_colors(len(self._colors) + 1)[-1].tolist()
            self._colors[key] = f"#{red:02x}{green:02x}{blue:02x}"
        return self._colors[key]

    def change(self, key: str, name: str | None, color: str | None) -> None:
        """Gives a name (from printable_name), a color or both; save() keeps them."""
        if name is not None:
            self._names[key] = name
        if color is not None:
            self._colors[key] = color

    def forget_name(self, key: str) -> None:
        """Of an object that is gone, when a new one gets its key."""
        self._names.pop(key, None)

    def save(self) -> None:
        """Writes the file. InvalidArgument when it cannot be written."""
        if self._file is None:
            return
        make_save_folder(self._file.parent)
        content = {key: [self.name(key), color] for key, color in self._colors.items()}
        write_atomically(self._file, json.dumps(content).encode(), private=True)


def printable_name(name: str) -> str:
    """A name as it is shown. InvalidArgument: nothing of it can be printed."""
    shown = cleaned(name)
    if not shown:
        raise InvalidArgument("name: got nothing that can be printed, expected letters")
    return shown
