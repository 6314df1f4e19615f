# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Folders of cases in the format of the MedSAM-on-laptop challenge. medsam-npz does the same without Python."""

import os
from collections.abc import Callable, Sequence

from medsam_engine import _core
from medsam_engine._core import CaseReport, FolderReport
from medsam_engine.engine import Engine
from medsam_engine.engine_log import forward_messages
from medsam_engine.io.byte_limit import ByteLimit


class FolderRun:
    """One run over a folder. Create it before the Engine: the first case is then read while the model loads.

    A case NAME.npz has the keys imgs and boxes. A name that starts with 2DBox_ is an image, imgs (H, W) or (H, W, 3)
    with boxes (N, 4); one that starts with 3DBox_ is a volume, imgs (D, H, W) or (D, H, W, 3) with boxes (N, 6); any
    other name is decided by the width of its boxes. imgs are uint8, uint16, int16 or float32; boxes have any integer or
    float dtype and inclusive ends; N may be 0. The answer has the key segs, (H, W) or (D, H, W) uint16 (uint32 above
    65535 boxes), and is written completely or not at all.

    Args:
        input_folder: the folder of the *.npz files.
        output_folder: the folder for the answers, which must be another one; created if absent.
        overwrite: process cases again that already have an answer.
        modality: of every case, as in Engine.encode; None = the modality in the second field of each file name
            (2DBox_US_0001.npz), if it names one.
        max_bytes: most bytes that the imgs of a case may unpack to; a larger case fails, and the others are processed.
            None = a quarter of the memory that this process may use.
        csv: file for a table of times, with one row per case, written when the case ends; None = none.
        also_read: other files and folders that are read, e.g. the bundle; no answer and no table may be one of them.

    Raises:
        InvalidArgument: a folder or the table cannot be used, there is no case, or an answer or the table would replace
            a file that is read (also through links).
    """

    def __init__(
        self,
        input_folder: str | os.PathLike[str],
        output_folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        csv: str | os.PathLike[str] | None = None,
        modality: str | None = None,
        max_bytes: int | None = None,
        also_read: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        # As bytes: a file's name need not be UTF-8.
        self._core = _core.FolderRun(
            os.fsencode(input_folder),
            os.fsencode(output_folder),
            overwrite=overwrite,
            csv=b"" if csv is None else os.fsencode(csv),
            modality=modality or "",
            max_bytes=ByteLimit.of(max_bytes).max_bytes,
            also_read=[os.fsencode(path) for path in also_read],
        )

    @property
    def size(self) -> int:
        """Number of cases in the folder."""
        return self._core.size

    @property
    def pending(self) -> int:
        """Number of cases that are not finished. If it is 0, no engine is needed."""
        return self._core.pending

    def run(
        self,
        engine: Engine | None,
        *,
        progress: Callable[[int, int, str, int, int], object] | None = None,
        finished: Callable[[CaseReport], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FolderReport:
        """Segments every pending case. A case that fails is reported, and the others are processed. Call it only once.

        Ctrl-C and `cancelled` take effect between batches of prompts: the current case is dropped, finished cases are
        written, and a new run continues from there.

        Args:
            engine: may be None if no case is pending.
            progress: called as progress(case_index, case_count, name, step, steps) when a case begins (0 of 0 steps)
                and after each slice of a volume.
            finished: called with the report of each case that has ended, for one case after the other.
            cancelled: called often; returning True ends the run with Cancelled.

        Raises:
            InvalidArgument: a second call, or no engine although one is needed.
            Cancelled, KeyboardInterrupt: the caller requested it.
            Exception: whatever the callbacks raise.
        """
        core = None if engine is None else engine._core
        report = self._core.run(core, progress=progress, finished=finished, cancelled=cancelled)
        if engine is not None:
            forward_messages(engine._core)
        return report
