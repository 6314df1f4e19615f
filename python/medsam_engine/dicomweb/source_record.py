# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What an answer was made of on a server: a JSON file NAME.source.json beside the answer NAME and its record.

The record of an answer has the digest of the images' files. With this one, a series whose instances are the same on the
server need not be fetched to know it: what a SOPInstanceUID stands for never changes (PS3.5 9).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine.base import whole_file
from medsam_engine.cohort import answer_record
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.answer_record import file_digest
from medsam_engine.cohort.case_result import Measured
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.errors import Error
from medsam_engine.io.input_file import read_input

_SCHEMA = 1
SUFFIX = ".source.json"


@dataclass(frozen=True)
class Source:
    """What decides on an answer, as far as it is known before anything is fetched.

    Attributes:
        url: of the server; another one may have other images under the same UIDs, such as a defaced copy.
        study, series: of the images.
        instances: the SOPInstanceUIDs by series: of the images and, where they give the boxes, of the objects.
        case: the prompts, as CaseSpec.content().
        made_by: the model and the options.
    """

    url: str
    study: str
    series: str
    instances: Mapping[str, Sequence[str]]
    case: Mapping[str, Any]
    made_by: Mapping[str, Any]

    def content(self) -> dict[str, Any]:
        """For the file: UIDs and counts; of the long lists and of the prompts, digests."""
        return {
            "server": self.url,
            "study": self.study,
            "series": self.series,
            "instances": {uid: len(listed) for uid, listed in self.instances.items()},
            "instances_sha256": _digest({uid: sorted(listed) for uid, listed in self.instances.items()}),
            "asked_sha256": _digest([{**self.case, "path": ""}, self.made_by]),
        }


def deciding(options: RunOptions) -> dict[str, Any]:
    """The options that decide on an answer."""
    names = ("output_format", "template", "window", "modality", "skip_unreadable", "reproducible")
    return {name: getattr(options, name) for name in names}


def place_of(files: CaseFiles) -> Path:
    """Where the file of a case lies."""
    return files.record.with_name(files.record.name.removesuffix(".json") + SUFFIX)


def write(files: CaseFiles, source: Source) -> None:
    """Says what the answer of a case, which has its record, was made of. InvalidArgument: it cannot be written."""
    content = {"schema": _SCHEMA, "record_sha256": file_digest(files.record), **source.content()}
    whole_file.write_atomically(place_of(files), json.dumps(content, indent=1).encode("ascii") + b"\n")


def finished_objects(files: CaseFiles, source: Source) -> list[Measured] | None:
    """The objects of an answer that was made of this very source and is whole; None where that cannot be told.

    Where it is None, the series is fetched, and the answer's own record decides.
    """
    try:
        content = json.loads(read_input(place_of(files), "record"))
        now = json.loads(json.dumps(source.content()))
        same = {"schema": _SCHEMA, "record_sha256": file_digest(files.record), **now}
        if content != same:
            return None
        record = json.loads(read_input(files.record, "record"))
        return answer_record.finished_objects(files, record["made_of"], lambda: str(record["input_sha256"]))
    except (Error, ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
