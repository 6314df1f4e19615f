# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Changed headers of NIfTI, NRRD, MetaImage, TIFF, NPZ files: the second reader's answer, or an error in one line."""

from collections.abc import Iterator

import pytest

pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from mutation_bases import BASES
from mutation_runs import Runs, worker

pytestmark = pytest.mark.needs("select")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with worker(tmp_path_factory.mktemp("mutated")) as made:
        yield made


@pytest.mark.parametrize("name", BASES)
def test_an_answer_as_the_second_readers_or_an_error(runs: Runs, name: str) -> None:
    base = BASES[name]
    runs.try_all(base, name, runs.folder / f"{name.replace(' ', '_')}{base.suffix}")
