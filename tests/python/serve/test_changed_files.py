# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that change while the server has them open: its voxels do not, and no mask refers to what was not seen."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import Engine, InvalidArgument, io
from medsam_engine.cli import serve as command
from medsam_engine.io.medical_image import DicomSource, MedicalImage
from medsam_engine.serve import log
from medsam_engine.serve.study import Study
from medsam_engine.serve.workplace import Limits, Workplace

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


def image_at(path: Path, **more: Any) -> MedicalImage:
    values = np.random.default_rng(4).integers(0, 200, (3, 24, 32)).astype(np.int16)
    return MedicalImage(values, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3), "", path, **more)


@pytest.fixture
def place_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workplace]]:
    """What the command serves with these arguments."""
    kept: list[Workplace] = []

    def run(bound: socket.socket, workplace: Workplace, *_: object, **__: object) -> None:
        bound.close()
        kept.append(workplace)

    def make(scans: list[Path] | None = None, **options: Any) -> Workplace:
        command.serve(scans, port=0, bundle=TINY, save_folder=tmp_path / "saved", **options)
        return kept[-1]

    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(log, "log_to_stderr", lambda *_: None)
    yield make
    for place in kept:
        asyncio.run(place.end())


def test_max_bytes_is_the_limit_of_requests_too(place_of: Callable[..., Workplace]) -> None:
    """The refusal of a long body names the option."""
    place = place_of(max_bytes=123)
    assert (place.limits.image_bytes, place.limits.body_bytes) == (123, 123 + (64 << 20))
    assert place_of().limits.body_bytes == Limits().body_bytes


def test_a_named_scan_is_what_it_was_when_it_was_read(tmp_path: Path, place_of: Callable[..., Workplace]) -> None:
    scan = tmp_path / "scan.nii"
    image = image_at(scan)
    io.write(scan, image.array.astype(np.uint8), image)
    before = io.read(scan).array.copy()
    (study,) = place_of([scan]).studies.values()
    with scan.open("r+b") as file:  # in place, as a copy over it does
        file.seek(352)
        file.write(b"\0" * (os.path.getsize(scan) - 352))
    assert not io.read(scan).array.any()
    np.testing.assert_array_equal(study.image.array, before)


def test_dicom_files_that_changed_are_not_referred_to(tiny_engine: Engine, tmp_path: Path) -> None:
    files = tuple(tmp_path / f"{k}.dcm" for k in range(3))
    for file in files:
        file.write_bytes(b"as it was read")
    study = Study(tiny_engine, image_at(tmp_path, source=DicomSource(files)), "a")
    study.check_files()
    files[1].write_bytes(b"of another patient")
    with pytest.raises(InvalidArgument, match="study: got DICOM files that have changed"):
        study.check_files()
