# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The record beside an answer: what it was made of and by, so that it is skipped only where it would be made again.

A JSON file NAME.json beside NAME. It is written with the status "unfinished" before the answer, and with "done" after:
an answer without a record is nobody's to replace, and one whose record is unfinished is made again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from medsam_engine import __version__
from medsam_engine.base import whole_file
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_result import Measured
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.input_file import open_input, read_input

_SCHEMA = 1
_UNFINISHED, _DONE = "unfinished", "done"
_PART = 1 << 20
# What errors call the fields of `made_of`, where they are not called so themselves.
_WORDS = {"input_bytes": "input", "boxes_sha256": "boxes_from", "skip_unreadable": "--skip-unreadable"}


class Refused(InvalidArgument):
    """An answer is there that is not to be replaced: it was made of or by something else, or is nobody's."""


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits. Raises InvalidArgument if it cannot be read."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest()


def write_hashed(path: Path, content: bytes | Iterable[bytes]) -> str:
    """Writes a file of an answer, whole or in parts, and returns its digest, as `file_digest` does.

    The digest is that of what this call has written, even if another process has replaced the file meanwhile.
    InvalidArgument: it cannot be written.
    """
    if isinstance(content, bytes):
        whole_file.write_atomically(path, content)
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for part in content:
            digest.update(part)
            yield part

    whole_file.write_atomically(path, hashed())
    return digest.hexdigest()


def begin(files: CaseFiles, made_of: Mapping[str, Any], masks: Iterable[Path] = ()) -> None:
    """Says that the answer is about to be written.

    Args:
        files: of the case.
        made_of: as `finish`.
        masks: the files of the objects, where each has one. They belong to the case from here on, as those do that the
            earlier record has.

    Raises:
        InvalidArgument: the record cannot be written.
    """
    content: dict[str, Any] = {"status": _UNFINISHED, "made_of": made_of}
    if files.per_object:
        content["answers"] = _listed(files, {**_answers(files, _read(files.record)), **dict.fromkeys(masks)})
    _write(files.record, content)


def finish(
    files: CaseFiles,
    made_of: Mapping[str, Any],
    content: str,
    objects: list[Measured],
    written: Mapping[Path, str],
    about: Mapping[str, Any],
) -> None:
    """Says that the answer is whole.

    Args:
        files: of the case.
        made_of: what `finished_objects` compares: the boxes, the options, the model.
        content: the digest of the input.
        objects: of the answer.
        written: the answer's files and their digests, from `write_hashed`.
        about: more to keep: the engine, times, notes.

    Raises:
        Refused: the record is not that of `begin` any more, or a file not what was written: another run writes an
            answer of something else there. Then no record says "done" of the files of two runs.
        InvalidArgument: the record cannot be written.
    """
    begun = _read(files.record)
    overtaken = begun is None or bool(_differing(begun.get("made_of"), made_of))
    mixed = next((path for path, digest in written.items() if not _unchanged(path, digest)), None)
    if overtaken and begun is not None and begun.get("status") == _DONE:
        _doubt(files, begun)
    if overtaken or mixed is not None:
        raise Refused(
            f"answer: got {files.record if overtaken else mixed} replaced while the answer was written, expected one "
            "run at a time that does a case in a folder; do this one again"
        )
    head: dict[str, Any] = {"status": _DONE, "made_of": made_of, "input_sha256": content}
    if files.per_object:
        head["answers"] = _listed(files, written)
    else:
        head["answer_sha256"] = written[files.answer]
    _write(files.record, {**head, **about, "objects": [vars(measured) for measured in objects]})


def _doubt(files: CaseFiles, record: Mapping[str, Any]) -> None:
    """The record of another run becomes an unfinished one if this run has written over its files."""
    if not all(_unchanged(path, digest) for path, digest in _answers(files, record).items()):
        _write(files.record, {**record, "status": _UNFINISHED})


def as_unfinished(files: CaseFiles, also: Iterable[Path] = ()) -> bytes:
    """The record of an answer as one that is being written, for a place to which it is sent.

    `also`: files of objects that an earlier answer has there.
    """
    record = _read(files.record) or {}
    content = {**record, "status": _UNFINISHED}
    if files.per_object:
        content["answers"] = _listed(files, {**_answers(files, record), **dict.fromkeys(also)})
    return _text(content)


def finished_objects(
    files: CaseFiles, made_of: Mapping[str, Any], content: Callable[[], str], if_different: str = "refuse"
) -> list[Measured] | None:
    """The objects of an answer that is there and would be made again just so; None where it is to be made.

    Args:
        files: of the case: where the answer would be.
        made_of: as `finish`.
        content: gives the digest of the input; called where all else is the same.
        if_different: "redo": an answer that was made of something else is to be made; "refuse": it is an error. One
            that was changed later or has no record is an error in either case.

    Raises:
        Refused: the answer, or a part of it, is there, but was made of something else, was changed, or has no record; a
            file that is no record has the name of one.
    """
    remedy = "--overwrite does it again, or choose another folder of answers"
    record = _read(files.record)
    answers = _answers(files, record)
    there = {path: digest for path, digest in answers.items() if _there(path)}
    if not there and record is None and _there(files.record):
        raise Refused(
            f"answer: got {files.record}, which is no record of this command, expected its name to be free; "
            "--overwrite replaces it, or choose another folder of answers"
        )
    if not there:
        return None
    if record is None:
        raise Refused(f"answer: got {files.answer}, expected a record beside it of how it was made; {remedy}")
    if record.get("status") == _UNFINISHED:
        return None
    changed = next((path for path, digest in there.items() if digest != file_digest(path)), None)
    names = _differing(record.get("made_of"), made_of)
    if not names and record.get("input_sha256") != content():
        names = ["input"]
    if names and if_different == "redo" and changed is None:
        return None
    if names and if_different != "redo":
        raise Refused(
            f"answer: got {next(iter(there))}, which does not match this run in "
            f"{' and '.join(dict.fromkeys(_WORDS.get(name, name) for name in names))}, expected one that does; {remedy}"
        )
    if changed is not None:
        raise Refused(f"answer: got {changed}, which was changed after it was written; {remedy}")
    if len(there) < len(answers):
        return None
    try:
        return [Measured.of(entry) for entry in record["objects"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Refused(f"answer: got {files.record}, expected a record of this command; {remedy}") from None


def answer_files(files: CaseFiles) -> list[Path]:
    """The files of the answer that the record beside it names; without one, where a single file would be."""
    return list(_answers(files, _read(files.record)))


def recorded(files: CaseFiles, state: str) -> tuple[str, int] | None:
    """The digest and the bytes of the input, where the record was made of an object at a URL in this very state."""
    record = _read(files.record) or {}
    made_of = record.get("made_of")
    if record.get("input_state") != state or not isinstance(made_of, dict):
        return None
    digest, size = record.get("input_sha256"), made_of.get("input_bytes")
    return (digest, size) if isinstance(digest, str) and isinstance(size, int) else None


def check_foreign(files: CaseFiles, masks: Iterable[Path]) -> None:
    """Refused: one of the files of a case's objects is there, and the record does not list it as the case's own."""
    own = _answers(files, _read(files.record))
    for path in masks:
        if path not in own and _there(path):
            raise foreign(str(path), str(files.record))


def foreign(place: str, record: str) -> Refused:
    """The error for a file that is not the case's own to replace."""
    return Refused(
        f"answer: got {place}, expected {record} to list it as a file of this case; --overwrite replaces it, or choose "
        "another folder of answers"
    )


def outlived(files: CaseFiles, masks: Iterable[Path]) -> dict[Path, bool]:
    """Files of objects that the earlier answer of a case has and the one to come has not, as its names are others.

    Args:
        files: of the case.
        masks: the files of the answer to come.

    Returns:
        Whether each is as it was written. One that was changed later, or may have been, is somebody's work.
    """
    if not files.per_object:
        return {}
    earlier = _answers(files, _read(files.record))
    kept = set(masks)
    return {path: _unchanged(path, digest) for path, digest in earlier.items() if path not in kept and _there(path)}


def remove_outlived(files: CaseFiles, written: Iterable[Path]) -> None:
    """Removes what `outlived` says is unchanged; between `begin` and `finish`. `written`: the files of the answer.

    InvalidArgument: one cannot be removed.
    """
    there = list(written)
    for path, unchanged in outlived(files, there).items():
        if unchanged and not any(path.samefile(other) for other in there):  # names that differ in case only
            try:
                path.unlink()
            except OSError as error:
                raise InvalidArgument(
                    f"answer: got {path}, expected the file of an earlier answer, which has other objects, to be "
                    f"removable; {error.strerror or error}"
                ) from error


def _unchanged(path: Path, digest: object) -> bool:
    try:
        return file_digest(path) == digest
    except Error:  # no regular file any more, or not to be read
        return False


def _listed(files: CaseFiles, answers: Mapping[Path, object]) -> dict[str, object]:
    """The files of the objects as the record has them, on every system."""
    below = files.record.parent
    return {PurePath(os.path.relpath(path, below)).as_posix(): digest for path, digest in answers.items()}


def _answers(files: CaseFiles, record: Mapping[str, Any] | None) -> dict[Path, object]:
    """The files of the answer and what their digests were; None where they were being written."""
    if not files.per_object:
        return {files.answer: None if record is None else record.get("answer_sha256")}
    listed = {} if record is None else record.get("answers")
    if not isinstance(listed, dict):
        return {}
    below = files.record.parent.relative_to(files.folder)
    places = {PurePath(os.path.normpath(below / str(name))): digest for name, digest in listed.items()}
    return {files.folder / place: digest for place, digest in places.items() if leads_inside(place)}


def leads_inside(place: PurePath) -> bool:
    """Whether a normal path stays below the folder that it is joined to; no record of this command lists others."""
    return not place.anchor and place.parts[:1] not in ((), ("..",))  # of Windows, also "C:" and "\\" alone


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _differing(earlier: object, made_of: Mapping[str, Any]) -> list[str]:
    """Names of what is not the same, as JSON has it."""
    now = json.loads(json.dumps(made_of))
    if not isinstance(earlier, dict):
        return list(now)
    return [name for name in {**now, **earlier} if earlier.get(name) != now.get(name)]


def _read(place: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_input(place, "record"))
    except (Error, ValueError, RecursionError):  # absent, no regular file, not JSON
        return None
    return content if isinstance(content, dict) and content.get("schema") == _SCHEMA else None


def _write(place: Path, content: Mapping[str, Any]) -> None:
    whole_file.write_atomically(place, _text(content))


def _text(content: Mapping[str, Any]) -> bytes:
    # ASCII, so that no name in it can steer a terminal.
    text = json.dumps({"schema": _SCHEMA, "version": __version__, **content}, indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"
