# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Folders of cases as the MedSAM-on-laptop challenge has them. The program medsam-npz is the same without Python."""

import os
from collections.abc import Callable, Sequence

from medsam_engine import _core
from medsam_engine._core import CaseReport, FolderReport
from medsam_engine.engine import Engine
from medsam_engine.io.byte_limit import ByteLimit


class FolderRun:
    """One run over a folder. Make it before the Engine: the first case is then read while the model loads.

    A case NAME.npz has the keys imgs and boxes. A name that starts with 2DBox_ is an image, imgs (H, W) or (H, W, 3)
    with boxes (N, 4); one that starts with 3DBox_ a volume, imgs (D, H, W) or (D, H, W, 3) with boxes (N, 6); any other
    goes by the width of its boxes. imgs are uint8, uint16, int16 or float32, boxes of any integer or float dtype with
    inclusive ends; N may be 0. The answer has the key segs, (H, W) or (D, H, W) uint16 (uint32 above 65535 boxes), and
    is written whole or not at all.

    Args:
        input_folder: *.npz.
        output_folder: folder of the answers, another one; made if absent.
        overwrite: do cases again whose answer is there.
        modality: of every case, as Engine.encode; None = what the second field of each file name tells
            (2DBox_US_0001.npz), if it names one.
        max_bytes: most bytes that the imgs of a case may unpack to; a larger case fails and the rest go on. None = a
            quarter of the memory that this process may use.
        csv: file for a table of times, a row as each case ends; None = none.
        also_read: other files and folders that are read, e.g. the bundle: no answer and no table may be one of them.

    Raises:
        InvalidArgument: a folder or the table cannot be used, there is no case, or an answer or the table would replace
            something that is read, be it through links.
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
        """Cases in the folder."""
        return self._core.size

    @property
    def pending(self) -> int:
        """Those that are not finished. With none no engine is needed."""
        return self._core.pending

    def run(
        self,
        engine: Engine | None,
        *,
        progress: Callable[[int, int, str, int, int], object] | None = None,
        finished: Callable[[CaseReport], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FolderReport:
        """Segments every pending case. One that fails is reported and the rest go on. Call it once.

        Ctrl-C and `cancelled` are honoured between batches of prompts: the case at work is dropped, finished ones are
        written, and a new run goes on from there.

        Args:
            engine: may be None when nothing is pending.
            progress: called as progress(case_index, case_count, name, step, steps) when a case begins (0 of 0 steps)
                and after each slice of a volume.
            finished: called with the report of each case that has ended, one after the other.
            cancelled: asked often; True ends the run with Cancelled.

        Raises:
            InvalidArgument: a second call, or no engine where one is needed.
            Cancelled, KeyboardInterrupt: the caller asked to stop.
            Exception: whatever the callbacks raise.
        """
        core = None if engine is None else engine._core
        report = self._core.run(core, progress=progress, finished=finished, cancelled=cancelled)
        if engine is not None:
            engine._forward_messages()
        return report
