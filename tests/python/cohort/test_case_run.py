# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reading ahead and an interruption: what was begun meanwhile is let go, too."""

import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from case_scans import table_of

from medsam_engine.cohort import CaseWorker, RunOptions, read_cases
from medsam_engine.cohort.case_run import CaseRun
from medsam_engine.cohort.ledger import Ledger, Standing

pytestmark = pytest.mark.usefixtures("tiny_bundle")


class _Silent:
    def note(self, text: str) -> None: ...
    def progress(self, index: int, count: int, name: str, step: int, steps: int) -> None: ...
    def finished(self, end: object) -> None: ...


def test_a_case_that_is_begun_while_the_run_is_interrupted_is_let_go(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, interrupted, names = threading.Event(), threading.Event(), []
    begin = Ledger.begin

    def begun(self: Ledger, record: Path, case: str, key: str) -> Standing:
        names.append(case)
        if len(names) == 2:  # the one that is read ahead
            ahead.set()
            assert interrupted.wait(60)
        return begin(self, record, case, key)

    monkeypatch.setattr(Ledger, "begin", begun)
    worker = CaseWorker(RunOptions(str(tmp_path / "out")))

    def segment(*_arguments: Any) -> None:
        assert ahead.wait(60)
        interrupted.set()
        raise KeyboardInterrupt

    worker.segment = segment  # type: ignore[method-assign, assignment]  # never returns
    cases = [worker.files(case) for case in read_cases(table_of(scans)).cases]
    with pytest.raises(KeyboardInterrupt):
        CaseRun(cases, worker, _Silent()).run()
    standings = [worker.ledger.standing(files.record) for files in cases[:2]]
    assert [standing is not None and standing.at_work for standing in standings] == [False, False]
