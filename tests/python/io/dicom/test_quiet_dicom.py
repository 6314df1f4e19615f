# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What pydicom and highdicom log and warn of stays inside, and the host's logging and warnings stay as they are."""

import logging
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import io
from medsam_engine.io.dicom.quiet import quiet_dicom

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
from dicom_builder import straight, write_series


def state() -> list[object]:
    loggers = [logging.getLogger(), logging.getLogger("pydicom"), logging.getLogger("highdicom.base")]
    return [
        *((one.level, list(one.handlers), one.propagate, one.disabled) for one in loggers),
        list(warnings.filters),
        warnings.showwarning,
    ]


def test_a_seg_of_a_series_with_values_that_are_too_long(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        long = {"AccessionNumber": "3912173256621705-1", "StudyID": "x" * 18}  # of SH: 16 characters
        write_series(tmp_path / "s", np.zeros((3, 20, 30), np.int16), straight(3, 2.0), **long)
    caplog.clear()
    before = state()
    image = io.read(tmp_path / "s")
    labels = np.zeros(image.grid, np.uint8)
    labels[1, 3:9, 4:7] = 1
    io.check_output(tmp_path / "a.dcm", image)
    io.write(tmp_path / "a.dcm", labels, image)  # warnings are errors in these tests
    assert io.read_boxes(tmp_path / "a.dcm", image).boxes.tolist() == [[4, 3, 1, 6, 8, 1]]
    assert caplog.records == []
    assert state() == before


def test_records_of_other_threads_pass(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("pydicom")
    inside, done = threading.Event(), threading.Event()

    def quiet() -> None:
        with quiet_dicom():
            logger.warning("dropped")
            inside.set()
            done.wait(20)

    worker = threading.Thread(target=quiet)
    worker.start()
    assert inside.wait(20)
    logger.warning("kept")
    done.set()
    worker.join()
    with quiet_dicom(), quiet_dicom():
        pass
    logger.warning("kept, too")
    assert [record.message for record in caplog.records] == ["kept", "kept, too"]


def test_threads_that_leave_in_another_order_restore_the_warnings() -> None:
    before = list(warnings.filters)
    entered, leave = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]

    def quiet(k: int) -> None:
        with quiet_dicom():
            entered[k].set()
            leave[k].wait(20)

    workers = [threading.Thread(target=quiet, args=(k,)) for k in range(2)]
    for k, worker in enumerate(workers):
        worker.start()
        assert entered[k].wait(20)
    for k, worker in enumerate(workers):  # the first one in is the first one out
        leave[k].set()
        worker.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="shown"):
        warnings.warn("shown", stacklevel=1)
