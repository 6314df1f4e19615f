# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Kills a run over many cases with SIGKILL at random times, and compares what is there at last with an undisturbed one.

    .venv/bin/python -m benchmarks.cohort.trial --cases 200 --kills 10 --bundle build/bundles/litemedsam

After the kills and a last run, every answer must be there once and whole, its label file the very bytes of the
undisturbed run, and its record the same but for times. DICOM SEGs are compared in a run of their own.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cohort.made_cases import make_cases

from medsam_engine.cohort.ledger import LEDGER_FOLDER

_START_S = 1.5  # about, of the command and the model
COMMAND = (sys.executable, "-m", "medsam_engine", "run")


def run(table: Path, out: Path, options: Sequence[str]) -> None:
    """One run to its end. RuntimeError: it has not ended well."""
    done = subprocess.run([*COMMAND, str(table), str(out), "-q", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"run: got status {done.returncode}, expected 0; {done.stderr[-2000:]}")


def killed_run(table: Path, out: Path, options: Sequence[str], kills: int, longest_s: float, seed: int) -> list[int]:
    """Starts a run and kills it, `kills` times, after a random time each; returns how many records there were then."""
    times, counts = random.Random(seed), []
    for _ in range(kills):
        process = subprocess.Popen([*COMMAND, str(table), str(out), "-q", *options], start_new_session=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(times.uniform(0.2, longest_s))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        counts.append(len(records(out)))
    return counts


def records(out: Path) -> list[Path]:
    """The records of answers."""
    return [path for path in out.rglob("*.json") if LEDGER_FOLDER not in path.parts]


def differences(one: Path, other: Path) -> list[str]:
    """What is not the same in two folders of answers: label files by their bytes, records but for their times."""
    found = []
    files = [{str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)]
    left = [name for name in files[1] if not name.endswith(".medsam-tmp")]  # what a kill leaves of a file
    found += [f"only in {one}: {name}" for name in sorted(files[0] - set(left))]
    found += [f"only in {other}: {name}" for name in sorted(set(left) - files[0])]
    for name in sorted(files[0] & files[1]):
        contents = [(folder / name).read_bytes() for folder in (one, other)]
        if name.endswith(".json"):
            records = [json.loads(content) for content in contents]
            for record in records:
                record.pop("seconds", None)
            if records[0] != records[1]:
                found.append(f"another record: {name}")
        elif contents[0] != contents[1]:
            found.append(f"other bytes: {name}")
    return found


def trial(table: Path, folder: Path, options: Sequence[str], kills: int, longest_s: float, seed: int) -> list[str]:
    """The differences between a run that was killed and one that was not; prints what happened."""
    started = time.perf_counter()
    run(table, folder / "whole", options)
    whole_s = time.perf_counter() - started
    # So that the kills together take about as long as the run, beside the start of each.
    longest_s = min(longest_s, _START_S + 2 * whole_s / max(1, kills))
    counts = killed_run(table, folder / "killed", options, kills, longest_s, seed)
    run(table, folder / "killed", options)
    answers = len(records(folder / "whole"))
    print(f"undisturbed {whole_s:.1f} s, {answers} records; after each kill {counts}", flush=True)
    return differences(folder / "whole", folder / "killed")


def main() -> int:
    """Returns 1 where there is a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--longest", type=float, default=30.0, help="most seconds before a kill")
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--folder", type=Path, default=Path("build/cohort_trial"), help="made anew")
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    found = []
    for kind, kinds, options in (("mixed", None, ()), ("seg", ["dicom"], ("--format", "dcm"))):
        folder = given.folder / kind
        count = given.cases if kinds is None else max(1, given.cases // 5)
        table = make_cases(folder / "cases", count, given.side, given.depth, kinds)
        print(f"{kind}: {count} cases", flush=True)
        asked = ("--bundle", given.bundle, *options)
        found += trial(table, folder, asked, given.kills, given.longest, given.seed)
    print("\n".join(found) or "every answer is there once, whole and the same")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
