# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Changed tags of DICOM files and series: pydicom's answer by the documented rules, or an error in one line."""

from collections.abc import Iterator

import pytest

pytest.importorskip("highdicom", reason="the decoders are not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from mutation_dicom_bases import DICOM, SERIES_SLICE, series
from mutation_runs import Runs, worker

pytestmark = pytest.mark.needs("select")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with worker(tmp_path_factory.mktemp("mutated")) as made:
        yield made


@pytest.mark.parametrize("name", DICOM)
def test_a_file(runs: Runs, name: str) -> None:
    runs.try_all(DICOM[name], name, runs.folder / f"{name.replace(' ', '_')}.dcm")


def test_one_slice_of_a_series(runs: Runs) -> None:
    folder = runs.folder / "series"
    folder.mkdir()
    for k, content in enumerate(series()):
        (folder / f"{k}.dcm").write_bytes(content)
    runs.try_all(SERIES_SLICE, "slice", folder / "1.dcm", folder)
