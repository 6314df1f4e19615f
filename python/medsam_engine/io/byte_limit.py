# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The one limit of what a file may decode to, checked from its header before memory is asked for."""

import os
from dataclasses import dataclass

from medsam_engine._core import default_max_bytes
from medsam_engine.errors import InvalidArgument

_METADATA = 1 << 26  # bytes beside the voxels that a file may have


@dataclass(frozen=True)
class ByteLimit:
    """At most `max_bytes` of decoded values: voxels in the file's own type, of the volumes that are read."""

    max_bytes: int

    @classmethod
    def of(cls, max_bytes: int | None) -> "ByteLimit":
        """`max_bytes`; None: a quarter of the memory that this process may use. InvalidArgument: below 1, or no int."""
        if max_bytes is None:
            return cls(default_max_bytes())
        number: object = max_bytes
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InvalidArgument(f"max_bytes: got {max_bytes!r}, expected a whole number of bytes, 1 or more")
        return cls(max_bytes)

    def check_file(self, size: int, path: str | os.PathLike[str]) -> None:
        """Refuses a file whose own bytes are more than the limit and 64 MiB. InvalidArgument.

        For formats whose parsers read what the file says that there is; a sparse file can have any size.
        """
        if size > self.max_bytes + _METADATA:
            raise InvalidArgument(
                f"image: got {size} bytes in the file {os.fspath(path)}, expected at most {self.max_bytes} and 64 MiB; "
                "raise the limit with --max-bytes (max_bytes=) if the file is to be trusted"
            )

    def check(self, claimed: int, what: str, path: str | os.PathLike[str]) -> None:
        """Refuses more than the limit. InvalidArgument.

        Args:
            claimed: bytes that the file's header says it decodes to.
            what: these bytes in words, e.g. "512x512x90 voxels".
            path: the file, for the message.
        """
        if claimed > self.max_bytes:
            raise InvalidArgument(
                f"image: got {claimed} bytes ({what}) in {path}, expected at most {self.max_bytes}; "
                "raise the limit with --max-bytes (max_bytes=) if the file is to be trusted"
            )
