# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Fixtures of the tests of cases, in the package and on the command line."""

from pathlib import Path

import pytest

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


@pytest.fixture
def tiny_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle that the command finds, with a cache of the test's own."""
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(TINY))
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    return TINY


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """The folder "scans" of case_scans.write_scans, in a folder of its own."""
    for library in ("PIL", "pydicom", "SimpleITK"):
        pytest.importorskip(library, reason="it is not in a thin installation")
    from case_scans import write_scans

    folder = tmp_path / "in" / "scans"
    write_scans(folder)
    return folder
