# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Small cases in a table, and the comparison of a folder of answers with a local run's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from case_scans import noise, table_of, write_volume
from PIL import Image

from medsam_engine.cli.app import run

# What of a record differs between two runs that did the same.
TIMES = ("seconds", "ran")


@dataclass(frozen=True)
class Cohort:
    """A table, and its answers and records by name."""

    table: Path
    answers: dict[str, bytes]
    records: dict[str, object]


def write_cohort(folder: Path, count: int) -> Path:
    """A table in `folder` of pictures and, each fourth, volumes; all differ."""
    scans = folder / "scans"
    scans.mkdir()
    rows = []
    for k in range(count):
        if k % 4:
            Image.fromarray(noise(48, 64, 3, seed=k)).save(scans / f"us{k}.png")
            rows.append(f"scans/us{k}.png,lesion,5,6,,30,40,")
        else:
            write_volume(scans / f"mr{k}.nii.gz", seed=k)
            rows.append(f"scans/mr{k}.nii.gz,liver,4,5,1,20,19,3")
    table: Path = table_of(scans, *rows)
    return table


def local_answers(table: Path, folder: Path) -> Cohort:
    """What `medsam-engine run` answers in this process."""
    assert run(["run", str(table), str(folder), "-q"]) == 0
    return Cohort(table, answers_of(folder), records_of(folder))


def answers_of(folder: Path) -> dict[str, bytes]:
    """The label maps by their names; a process that was killed may leave its temporary file (docs/many_cases.md)."""
    files = [path for path in (folder / "scans").iterdir() if path.suffix not in (".json", ".medsam-tmp")]
    return {path.name: path.read_bytes() for path in files}


def records_of(folder: Path) -> dict[str, object]:
    """The records by their names, without their times."""
    found: dict[str, object] = {}
    for path in (folder / "scans").glob("*.json"):
        record = json.loads(path.read_text())
        found[path.name] = {key: value for key, value in record.items() if key not in TIMES}
    return found
