# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases from wherever they are listed: a table, a list, or a folder."""

import os
from pathlib import Path

from medsam_engine.cohort.case_folder import read_case_folder
from medsam_engine.cohort.case_lists import read_jsonl, read_parquet
from medsam_engine.cohort.case_rows import CaseList
from medsam_engine.cohort.case_table import read_case_table

_READERS = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".parquet": read_parquet}


def read_cases(source: str | os.PathLike[str]) -> CaseList:
    """The cases that a table, a list or a folder names. Images are not looked for.

    Args:
        source: a table in CSV, JSON Lines (.jsonl, .ndjson) or Parquet (.parquet), by its name, any other name being
            that of a CSV file; or a folder in which each image has its prompts beside it (scan.boxes.csv,
            scan.boxes.nii.gz; `case_folder`), or else a folder of NPZ cases.

    Raises:
        InvalidArgument: it is not there, a row has an error (by its line), or it names no case.
        Unsupported: it is a Parquet file and pyarrow is not installed.
    """
    path = Path(source)
    if path.is_dir():
        return read_case_folder(path)
    return _READERS.get(path.suffix.lower(), read_case_table)(path, str(path.parent))
