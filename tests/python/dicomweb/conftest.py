# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Servers for the tests of DICOMweb: a stand-in inside the test, and Orthanc."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dicomweb_stand_in import StandIn
    from orthanc_server import Orthanc

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> "StandIn":
    """An empty server at dicomweb_stand_in.URL, and at every other URL, for all sessions of the package."""
    for library in ("dicomweb_client", "pydicom", "highdicom"):
        pytest.importorskip(library, reason="it is of the extra [dicomweb] and the full installation")
    from dicomweb_stand_in import StandIn, mounted

    from medsam_engine.dicomweb import transport

    made = StandIn()
    monkeypatch.setattr(transport, "make_session", mounted(transport.make_session, made))
    monkeypatch.delenv("MEDSAM_ENGINE_DICOMWEB_AUTH", raising=False)
    return made


@pytest.fixture
def tiny_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle that the command finds, with a cache of the test's own."""
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(TINY))
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDSAM_ENGINE_DICOMWEB_AUTH", raising=False)
    return TINY


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Orthanc]":
    """An empty Orthanc for one module."""
    for library in ("dicomweb_client", "pydicom", "highdicom"):
        pytest.importorskip(library, reason="it is of the extra [dicomweb] and the full installation")
    import orthanc_server

    why = orthanc_server.missing()
    if why:
        pytest.skip(why)
    with orthanc_server.running(Path(tmp_path_factory.mktemp("orthanc")) / "server") as started:
        yield started
