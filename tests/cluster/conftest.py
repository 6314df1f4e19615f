# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A table of small cases on the tiny bundle, and its answers by a local run, which every cluster has to give too."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "python" / "support")]
TINY = ROOT / "tests" / "data" / "tiny_bundle"
# Sockets lie in it, whose names are bounded to about 100 characters.
SHORT = ROOT / "build" / "c"

from cluster_cases import Cohort, local_answers, write_cohort  # noqa: E402


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    SHORT.mkdir(parents=True, exist_ok=True)
    yield SHORT
    shutil.rmtree(SHORT, ignore_errors=True)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The processes' environment: the tiny bundle, a cache of their own, this installation first on PATH."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSAM_ENGINE_BUNDLE", str(TINY))
        patch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        yield dict(os.environ)


@pytest.fixture(scope="session")
def cohort(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """48 cases, pictures and volumes, and what a local run answers."""
    assert environment
    table = write_cohort(tmp_path_factory.mktemp("in"), 48)
    return local_answers(table, tmp_path_factory.mktemp("local"))
