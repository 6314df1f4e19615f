# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The record beside an answer: what it was made of and by, so that it is skipped only where it would be made again.

A JSON file NAME.json beside NAME. It is written with the status "unfinished" before the answer, and with "done" after:
an answer without a record is nobody's to replace, and one whose record is unfinished is made again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine import __version__
from medsam_engine.base import whole_file
from medsam_engine.cohort.answer_paths import record_path
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.input_file import open_input, read_input

_SCHEMA = 1
_UNFINISHED, _DONE = "unfinished", "done"
_PART = 1 << 20


@dataclass(frozen=True)
class Measured:
    """An object of a finished answer.

    Attributes:
        label, name: its number in the label map, and the structure's name, "" when the table has none.
        voxels: its voxels, of an image its pixels.
        ml: their volume; None where the spacing is not known, and of images.
        iou: the model's own estimate of the IoU of the mask with the object; None where nothing was found.
    """

    label: int
    name: str
    voxels: int
    ml: float | None
    iou: float | None


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits. Raises InvalidArgument if it cannot be read."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest()


def begin(answer: Path, made_of: Mapping[str, Any]) -> None:
    """Says that `answer` is about to be written. InvalidArgument: the record cannot be."""
    _write(answer, {"status": _UNFINISHED, "made_of": made_of})


def finish(
    answer: Path, made_of: Mapping[str, Any], content: str, objects: list[Measured], about: Mapping[str, Any]
) -> None:
    """Says that `answer` is whole.

    Args:
        answer: as it lies on the disk.
        made_of: what `finished_objects` compares: the boxes, the options, the model.
        content: the digest of the input.
        objects: of the answer.
        about: more to keep for people: times, notes.
    """
    head = {"status": _DONE, "made_of": made_of, "input_sha256": content, "answer_sha256": file_digest(answer)}
    _write(answer, {**head, **about, "objects": [vars(measured) for measured in objects]})


def finished_objects(answer: Path, made_of: Mapping[str, Any], content: Callable[[], str]) -> list[Measured] | None:
    """The objects of an answer that is there and would be made again just so; None where it is to be made.

    Args:
        answer: where it would be.
        made_of: as `finish`.
        content: gives the digest of the input; called where all else is the same.

    Raises:
        InvalidArgument: the answer is there, but was made of something else, was changed, or has no record; a file
            that is no record has the name of one.
    """
    remedy = "--overwrite does it again, or choose another folder of answers"
    record = _read(answer)
    if not answer.exists() and not answer.is_symlink():
        place = record_path(answer)
        if record is None and (place.exists() or place.is_symlink()):
            raise InvalidArgument(
                f"answer: got {place}, which is no record of this command, expected its name to be free; --overwrite "
                "replaces it, or choose another folder of answers"
            )
        return None
    if record is None:
        raise InvalidArgument(f"answer: got {answer}, expected a record beside it of how it was made; {remedy}")
    if record.get("status") == _UNFINISHED:
        return None
    names = _differing(record.get("made_of"), made_of)
    if not names and record.get("input_sha256") != content():
        names = ["input"]
    if names:
        raise InvalidArgument(
            f"answer: got {answer}, which was made with another {' and '.join(names)}, expected "
            f"one of this very case; {remedy}"
        )
    if record.get("answer_sha256") != file_digest(answer):
        raise InvalidArgument(f"answer: got {answer}, which was changed after it was written; {remedy}")
    try:
        return [_measured(entry) for entry in record["objects"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidArgument(
            f"answer: got {record_path(answer)}, expected a record of this command; {remedy}"
        ) from None


def _differing(earlier: object, made_of: Mapping[str, Any]) -> list[str]:
    """Names of what is not the same, as JSON has it."""
    now = json.loads(json.dumps(made_of))
    if not isinstance(earlier, dict):
        return list(now)
    return [name for name in {**now, **earlier} if earlier.get(name) != now.get(name)]


def _measured(entry: Mapping[str, Any]) -> Measured:
    ml, iou = _number(entry["ml"]), _number(entry["iou"])
    return Measured(int(entry["label"]), str(entry["name"]), int(entry["voxels"]), ml, iou)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _read(answer: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_input(record_path(answer), "record"))
    except (Error, ValueError, RecursionError):  # absent, no regular file, not JSON
        return None
    return content if isinstance(content, dict) and content.get("schema") == _SCHEMA else None


def _write(answer: Path, content: Mapping[str, Any]) -> None:
    # ASCII, so that no name in it can steer a terminal.
    text = json.dumps({"schema": _SCHEMA, "version": __version__, **content}, indent=1, allow_nan=False)
    whole_file.write_atomically(record_path(answer), text.encode("ascii") + b"\n")
