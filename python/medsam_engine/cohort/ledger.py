# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The ledger of a run: which cases were begun and did not end well, one small file each, in the folder of the answers.

A case whose process is killed cannot say so itself. What was begun is written down before, so that a case that ends its
process again and again is put aside (quarantined) and the others are done. The files lie in .medsam-run/ under the
names of the records; a case that ends well has none. They are written by temporary and rename, but not flushed to the
disk: they need to survive a process, not a power cut. A case cannot begin without its file. That how it ended cannot be
written (a full disk) is no reason to end the run: the case has been told of, and counts as one that was at work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.input_file import read_input

LEDGER_FOLDER = ".medsam-run"
_SCHEMA = 1
# A run that is killed as a whole says nothing about the case at work: three times as many are allowed.
_KILLS_PER_TRY = 3


@dataclass
class Standing:
    """What became of a case so far.

    Attributes:
        case: what it is called.
        key: of its input, model and options when it was tried; its tries count for these only.
        at_work: it was begun and has not ended.
        failed: how often it failed or ended its process while the run watched.
        killed: how often it was at work when all of the run was killed.
        error: the last reason.
    """

    case: str
    key: str
    at_work: bool = False
    failed: int = 0
    killed: int = 0
    error: str = ""

    def quarantined(self, tries: int) -> bool:
        """Whether it is not to be tried again."""
        return self.failed >= tries or self.killed >= tries * _KILLS_PER_TRY


class Ledger:
    """The ledger in one folder of answers. Several processes may use it at once for different cases."""

    def __init__(self, answers: Path) -> None:
        """Nothing is made before a case begins."""
        self._answers, self._folder = answers, answers / LEDGER_FOLDER

    @property
    def begun_before(self) -> bool:
        """Whether there may be anything in it."""
        return self._folder.is_dir()

    def standing(self, record: Path) -> Standing | None:
        """What became of the case with this record; None where it has no entry."""
        try:
            content = json.loads(self._fetch(self._place(record)) or b"null")
            if content.pop("schema") != _SCHEMA:
                return None
            return Standing(**content)
        except (Error, AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return None

    def begin(self, record: Path, case: str, key: str) -> Standing:
        """Says that a case is about to be read. Its earlier tries count where the key is the same.

        Raises:
            Error: it cannot be written.
        """
        now = self.standing(record)
        if now is None or now.key != key:
            now = Standing(case, key)
        elif now.at_work:
            now.killed += 1
        now.at_work = True
        self._write(record, now)
        return now

    def fail(self, record: Path, case: str, error: str) -> Standing:
        """Says that a case that was begun has failed, or ended its process."""
        now = self.standing(record) or Standing(case, "")
        now.at_work, now.failed, now.error = False, now.failed + 1, error
        with suppress(Error):
            self._write(record, now)
        return now

    def leave(self, record: Path) -> None:
        """Says that a case was let go for no fault of its own."""
        now = self.standing(record)
        if now is not None and now.at_work:
            now.at_work = False
            with suppress(Error):
                self._write(record, now)

    def clear(self, record: Path) -> None:
        """Says that a case ended well, or is to be tried as if nothing had been."""
        with suppress(OSError, Error):
            self._remove(self._place(record))

    def _place(self, record: Path) -> Path:
        return self._folder / os.path.relpath(record, self._answers)

    def _write(self, record: Path, standing: Standing) -> None:
        content: Mapping[str, object] = {"schema": _SCHEMA, **asdict(standing)}
        self._store(self._place(record), json.dumps(content).encode("ascii"))

    def _fetch(self, place: Path) -> bytes | None:
        return read_input(place, "ledger") if place.exists() else None

    def _store(self, place: Path, content: bytes) -> None:
        temporary = place.with_name(f".{place.name}.{os.getpid()}.medsam-tmp")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(place)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise InvalidArgument(
                f"output: got {place}, expected a writable file; {error.strerror or error}"
            ) from error

    def _remove(self, place: Path) -> None:
        place.unlink(missing_ok=True)
