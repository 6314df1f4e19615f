# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs changed files through mutation_worker.py, counts what comes of them, and says what is wrong."""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation_bases import Base
from mutations import CHOSEN, SEED, Changed, drawn, repeated_by

HANGS_AFTER = 60  # seconds; a file here takes milliseconds
WORKER = Path(__file__).with_name("mutation_worker.py")


@dataclass
class Runs:
    """A worker that is started again when a file ends it, and counts for the report."""

    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    _process: "subprocess.Popen[bytes] | None" = None

    def try_file(self, kind: str, path: Path) -> dict[str, str]:
        """The worker's reply; "wrong" also names a crash or a hang of ours."""
        self.counts["inputs"] += 1
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {path}\n".encode())
        reply = self._reply(self._process)
        self._count(reply)
        return reply

    def _reply(self, process: "subprocess.Popen[bytes]") -> dict[str, str]:
        stage = "start"
        assert process.stdout is not None
        while True:
            # The pipe is not buffered here, or select would not see lines that have been fetched already.
            if not select.select([process.stdout], [], [], HANGS_AFTER)[0]:
                process.kill()
                self.close()
                return self._ended(stage, "hang")
            line = process.stdout.readline()
            if not line:
                self.close()
                return self._ended(stage, f"crash ({process.returncode})")
            message: dict[str, Any] = json.loads(line)
            if "done" in message:
                return dict(message["done"])
            stage = message["stage"]

    def _ended(self, stage: str, how: str) -> dict[str, str]:
        if stage == "second reader":  # not ours; but the answer is compared with nothing
            return {"outcome": "answer", "message": "", "refusal": how, "wrong": ""}
        return {"outcome": how, "message": "", "wrong": f"{how} in {stage}"}

    def _count(self, reply: dict[str, str]) -> None:
        self.counts[reply["outcome"]] += 1
        if reply["wrong"]:
            self.counts["wrong"] += 1
        if "refusal" in reply:
            self.counts["second reader refused"] += 1
        if reply.get("differs"):
            self.counts["disagreements"] += 1

    def problems(self, kind: str, path: Path, changed: Changed, name: Path | None = None) -> list[str]:
        """Writes the changed file to `path` and reads it, or the folder `name`; what is wrong, in words."""
        path.write_bytes(changed.content)
        reply = self.try_file(kind, path if name is None else name)
        found = [reply["wrong"], reply.get("differs", "")]
        if reply.get("refusal"):
            found.append(f"answered what the second reader refuses: {reply['refusal']}")
        return [f"{path.name}: {changed.how}: {text}" for text in found if text]

    def try_all(self, base: Base, name: str, path: Path, folder: Path | None = None) -> None:
        """Fails if anything is wrong with changed files of `base`, called `name`, at `path` (of `folder`, if given)."""
        content = base.content()
        problems = self.problems(base.kind, path, Changed(content, "unchanged"), folder)
        assert not problems
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" (")[0]
        for number, changed in drawn(base.changes(content), name):
            found = self.problems(base.kind, path, changed, folder)
            if found:
                kept = self.folder / f"{name.replace(' ', '_')}-{number}{base.suffix}"
                kept.write_bytes(changed.content)
                problems.append("; ".join(found) + f"\n  {kept}\n  again: {repeated_by(number)} '{test}'")
                if CHOSEN:  # at once, for whoever watches a long run
                    sys.stdout.write(problems[-1] + "\n")
        assert not problems, f"{len(problems)} of seed {SEED}:\n" + "\n".join(problems[:40])

    def close(self) -> None:
        """Ends the worker."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(timeout=HANGS_AFTER)
            assert self._process.stdout is not None
            self._process.stdout.close()


@contextmanager
def worker(folder: Path) -> Iterator[Runs]:
    """Runs with files in `folder`; a long run prints the counts at its end."""
    runs = Runs(folder)
    yield runs
    runs.close()
    if CHOSEN:
        counts = ", ".join(f"{n} {what}" for what, n in sorted(runs.counts.items()))
        sys.stdout.write(f"mutations, seed {SEED}: {counts}\n")
