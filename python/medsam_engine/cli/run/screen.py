# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine run` shows while it works."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from medsam_engine.base.printable import printable
from medsam_engine.cli.terminal import description_column, log_to, say
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.errors import InvalidArgument


class EndedCase(Protocol):
    """What the screen reads from a finished case, whether of a folder (CaseReport) or of a table."""

    @property
    def name(self) -> str:
        """The case's name."""

    @property
    def status(self) -> str:
        """done, skipped, failed or refused."""

    @property
    def message(self) -> str:
        """The reason why a case failed."""

    @property
    def objects(self) -> int:
        """Number of boxes of the case."""

    @property
    def empty_objects(self) -> int:
        """Number of boxes in which nothing was found."""

    @property
    def read_s(self) -> float:
        """Time of reading, seconds."""

    @property
    def segment_s(self) -> float:
        """Time of segmenting, seconds."""

    @property
    def write_s(self) -> float:
        """Time of writing, seconds."""


class RunScreen:
    """Shows a bar if standard error is a terminal, a line per failure and a summary; when quiet, only the failures."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self.ended: list[EndedCase] = []
        self.results: list[CaseResult] = []
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._started = time.perf_counter()
        self.bar = Progress(
            description_column(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self.bar.add_task("", total=None)
        log_to(self._console)

    def note(self, text: str) -> None:
        """Prints a line unless quiet."""
        if not self._quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Prints a line, quiet or not."""
        say(self._console, text)

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:
        """Shows how many steps of a case are done, of how many (0 of 0 when it begins)."""
        within = step / steps if steps else 0.0
        self.bar.update(self._task, description=printable(name), completed=index + within, total=count)

    def finished(self, report: EndedCase, again: bool = False) -> None:
        """Counts a case that has ended, and prints a line if it failed or nothing was found, but not `again`."""
        self.ended.append(report)
        if isinstance(report, CaseResult):
            self.results.append(report)
        status = "failed" if report.status == "refused" else report.status
        self._counts[status] += 1
        if again:
            return
        if status == "failed":
            self.complain(f"{report.name}: {report.message}")
        elif report.empty_objects:
            self.note(f"{report.name}: nothing found in {report.empty_objects} of {report.objects} boxes")

    def summary(self) -> None:
        """Prints the last line: how many cases were done, skipped and failed."""
        done, skipped, failed = self._counts.values()
        seconds = time.perf_counter() - self._started
        self.note(f"{done} case{'s' * (done != 1)} done, {skipped} skipped, {failed} failed in {seconds:.2f} s")
        quarantined = [end.name for end in self.results if end.quarantined]
        if quarantined:
            self.complain(f"quarantined, to be tried again with --retry-failed: {', '.join(quarantined)}")

    def plan(self, plan: Sequence[CaseResult]) -> int:
        """Prints what would become of each case; returns how many would not be done."""
        for end in plan:
            self.ended.append(end)
            self.results.append(end)
            why = f": {end.message}" if end.message else ""
            self.note(f"{end.status} {end.name} -> {end.answer}{why}")
        counts = Counter(end.status for end in plan)
        wrong = counts["failed"] + counts["refused"]
        self.note(f"{counts['pending']} to do, {counts['skipped']} finished, {wrong} refused, failed or quarantined")
        return wrong


class JsonScreen(RunScreen):
    """A JSON object per line on standard error instead, for programs: note, begin, case and summary (docs/json.md)."""

    def __init__(self) -> None:
        super().__init__(quiet=False)
        self.bar.disable = True

    def complain(self, text: str) -> None:
        """A line of any kind."""
        self._write({"event": "note", "text": printable(text)})

    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None:  # noqa: ARG002 (as RunScreen)
        """Said once, as a case begins."""
        if not steps:
            self._write({"event": "begin", "case": name, "index": index, "cases": count})

    def finished(self, report: EndedCase, again: bool = False) -> None:
        """A case has ended."""
        super().finished(report, again=True)
        if not again:
            content = report.content() if isinstance(report, CaseResult) else {"name": report.name}
            self._write({"event": "case", "status": report.status, "message": report.message, **content})

    def summary(self) -> None:
        """The counts, and the names of quarantined cases."""
        quarantined = [end.name for end in self.results if end.quarantined]
        seconds = round(time.perf_counter() - self._started, 3)
        self._write({"event": "summary", **self._counts, "quarantined": quarantined, "seconds": seconds})

    def _write(self, line: dict[str, Any]) -> None:
        self._console.file.write(json.dumps(line) + "\n")
        self._console.file.flush()


def chosen_screen(progress: str, quiet: bool) -> RunScreen:
    """The screen that --progress asks for. InvalidArgument: a word that is none."""
    if progress not in ("bar", "jsonl"):
        raise InvalidArgument(f"--progress: got {progress}, expected bar or jsonl")
    return JsonScreen() if progress == "jsonl" else RunScreen(quiet)
