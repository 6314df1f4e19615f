# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases and answers at URLs, through fsspec: fetched before a case is read, sent after its answer is whole.

Files on this machine are used where they are. Of a case at a URL, the image lies in a temporary folder until the case
ends; an answer for a URL is written to a temporary folder, sent, and removed there, its record last. Nothing is locked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsam_engine.base.addresses import is_url, joined, last_name
from medsam_engine.base.error_text import error_text
from medsam_engine.cohort import answer_record
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.ledger import Ledger
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.extras import require


class Staging:
    """The temporary folders of one worker."""

    def __init__(self, options: RunOptions) -> None:
        """Nothing is made or looked at before a case asks for it."""
        self._options = options
        self._remote = is_url(options.answers)
        self._folder: Path | None = None
        self._ledger: Ledger | None = None
        self._fetched: dict[Path, set[Path]] = {}  # files of objects, by the record that lists them

    @property
    def answers(self) -> Path:
        """The folder in which answers are written."""
        return self._temporary() / "answers" if self._remote else Path(self._options.answers)

    @property
    def ledger(self) -> Ledger:
        """Of the folder of answers; of a URL, where it is sent to and fetched from."""
        if self._ledger is None:
            self._ledger = RemoteLedger(self.answers, self._options.answers) if self._remote else Ledger(self.answers)
        return self._ledger

    def place(self, answer: Path) -> str:
        """Where a file of the answers ends up, a path or a URL."""
        return self._url(answer) if self._remote else str(answer)

    def told(self, message: str) -> str:
        """A message about files of the answers with the names that they have where they end up."""
        if not self._remote or self._folder is None:
            return message
        return message.replace(f"{self.answers}{os.sep}", f"{self._options.answers.rstrip('/')}/")

    def look(self, files: CaseFiles) -> str | None:
        """Fetches the record and the answer that are at a URL; returns the state of an image at a URL."""
        if self._remote:
            self._fetch_answer(files)
        return state_of(files.case.path) if is_url(files.case.path) else None

    def fetch(self, files: CaseFiles) -> CaseFiles:
        """The case with an image and a file of boxes on this machine, where they stay until `release`. Error."""
        case = files.case
        if not any(is_url(place) for place in (case.path, case.boxes_from or "")):
            return files
        folder = self._case_folder(case)
        shutil.rmtree(folder, ignore_errors=True)
        return replace(files, case=_fetched_case(case, folder))

    def release(self, files: CaseFiles) -> None:
        """Removes what was fetched of a case."""
        self._fetched.pop(files.record, None)
        if self._folder is not None:
            shutil.rmtree(self._case_folder(files.case), ignore_errors=True)

    def _case_folder(self, case: CaseSpec) -> Path:
        name = hashlib.sha256(case.file.encode("utf-8", "surrogateescape")).hexdigest()
        return self._temporary() / "cases" / name

    def send(self, files: CaseFiles) -> None:
        """Sends an answer that is whole, and removes it here. Error: it cannot be sent.

        As in a folder: its record as an unfinished one first, then its files, then the record. A run that is killed
        meanwhile leaves what the next one does again, and never a finished record beside another answer.
        """
        if not self._remote:
            return
        answers, earlier = answer_record.answer_files(files), self._fetched.get(files.record, set())
        self._refuse_foreign(files, set(answers) - earlier)
        outlived = [path for path in earlier - set(answers) if not path.exists()]  # write_case has removed them
        _put_bytes(answer_record.as_unfinished(files, outlived), self._url(files.record))
        for path in answers:
            _put(path, self._url(path))
        for path in outlived:
            _remove(self._url(path))
        _put(files.record, self._url(files.record))
        for path in (*answers, files.record):
            path.unlink(missing_ok=True)

    def _refuse_foreign(self, files: CaseFiles, new: Iterable[Path]) -> None:
        """As answer_record.check_foreign, of files that the record at the URL does not list."""
        if files.per_object and not self._options.overwrite:
            for path in new:
                if _is_there(self._url(path)):
                    raise answer_record.foreign(self._url(path), self._url(files.record))

    def _fetch_answer(self, files: CaseFiles) -> None:
        for path in [files.record, *([] if files.per_object else [files.answer])]:
            path.unlink(missing_ok=True)
            _get_if_there(self._url(path), path)
        if files.per_object:
            answers = answer_record.answer_files(files)
            for path in answers:
                path.unlink(missing_ok=True)
                _get_if_there(self._url(path), path)
            self._fetched[files.record] = {path for path in answers if path.exists()}

    def _url(self, path: Path) -> str:
        return joined(self._options.answers, path.relative_to(self.answers).as_posix())

    def _temporary(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="medsam-run."))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


class RemoteLedger(Ledger):
    """A ledger whose files are at a URL."""

    def __init__(self, answers: Path, url: str) -> None:
        """`answers` is the folder on this machine that stands for `url`."""
        super().__init__(answers)
        self._url = url

    @property
    def begun_before(self) -> bool:
        """Whether there may be anything in it; each look asks the place."""
        return True

    def _fetch(self, place: Path) -> bytes | None:
        place.unlink(missing_ok=True)
        _get_if_there(self._at(place), place)
        return super()._fetch(place)

    def _store(self, place: Path, content: bytes) -> None:
        super()._store(place, content)
        _put(place, self._at(place))

    def _remove(self, place: Path) -> None:
        super()._remove(place)
        _remove(self._at(place))

    def _at(self, place: Path) -> str:
        return joined(self._url, place.relative_to(self._answers).as_posix())


def state_of(url: str) -> str | None:
    """Tells a changed object from the same one, by its tag; None where the file system has none.

    A time and a size are not enough: copies of other images may have both. The tags of web servers are made of them.
    """
    with _told(url):
        fs, path = _file_system(url)
        if url.partition("://")[0].lower() in ("http", "https"):
            return None
        found = fs.find(path, detail=True) if fs.isdir(path) else {path: fs.info(path)}
    parts: list[list[Any]] = [[url]]
    for name, info in sorted(found.items()):
        tag = next((info[key] for key in ("ETag", "etag", "md5Hash") if info.get(key)), None)
        if tag is None:
            return None
        parts.append([last_name(name), info.get("size"), str(tag)])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest() if found else None


def _fetched_case(case: CaseSpec, folder: Path) -> CaseSpec:
    path = case.path
    if is_url(path):
        path = str(folder / "image" / last_name(path))
        _get(case.path, Path(path))
    boxes_from = case.boxes_from
    if boxes_from is not None and is_url(boxes_from):
        boxes_from = str(folder / "boxes" / last_name(boxes_from))
        _get(case.boxes_from or "", Path(boxes_from))
    return replace(case, path=path, boxes_from=boxes_from)


def _file_system(url: str) -> tuple[Any, str]:
    fsspec: Any = require("fsspec", f"opening {url}")
    file_system, path = fsspec.core.url_to_fs(url)
    return file_system, path


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except Error:
        raise
    except Exception as error:  # of any library behind fsspec
        raise InvalidArgument(f"url: got {url}, expected a place that can be used; {error_text(error)}") from error


def _get(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _told(url):
        fs, place = _file_system(url)
        if not fs.exists(place):
            raise InvalidArgument(f"image: got {url}, expected a file; no such file")
        fs.get(place, str(path), recursive=fs.isdir(place))


def _is_there(url: str) -> bool:
    with _told(url):
        fs, place = _file_system(url)
        return bool(fs.exists(place))


def _get_if_there(url: str, path: Path) -> None:
    with _told(url):
        fs, place = _file_system(url)
        if fs.exists(place):
            path.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(place, str(path))


def _remove(url: str) -> None:
    with _told(url):
        fs, path = _file_system(url)
        if fs.exists(path):
            fs.rm(path)


def _put(path: Path, url: str) -> None:
    with _told(url):
        fs, place = _file_system(url)
        fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        fs.put_file(str(path), place)


def _put_bytes(content: bytes, url: str) -> None:
    with _told(url):
        fs, place = _file_system(url)
        fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(place, content)
