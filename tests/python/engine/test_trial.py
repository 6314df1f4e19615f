# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An int8 graph without a certificate is tried in a process of its own, whose program the wheel holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import BackendError, Engine, Unsupported

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """The tiny bundle with its exact encoder as the int8 one."""
    bundle = tmp_path / "bundle"
    shutil.copytree(TINY, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="ascii"))
    manifest["quantized"] = {"encoder": manifest["models"]["encoder"] | {"rest": "f32"}}
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    return bundle


def test_the_wheels_program_tries_it(quantized: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    engine = Engine(quantized, precision="int8", allow_uncertified=True, cache_dir=cache)
    assert engine.info.encoder_precision == "int8"
    assert engine.segment(np.zeros((8, 8), np.uint8), [[1, 1, 5, 5]]).shape == (8, 8)
    assert len(list((cache / "tried").iterdir())) == 1


@pytest.mark.needs("scripts")
def test_a_crash_there_is_an_error_here(quantized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "medsam-trial"
    program.write_text("#!/bin/sh\nkill -FPE $$\n", encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setenv("MEDSAM_ENGINE_HELPER_DIR", str(tmp_path))
    with pytest.raises(BackendError, match="the process that tried this graph ended by signal 8") as caught:
        Engine(quantized, precision="int8", allow_uncertified=True, cache_dir="none")
    assert "\n" not in str(caught.value)
    program.unlink()
    with pytest.raises(Unsupported, match="medsam-trial is not in"):
        Engine(quantized, precision="int8", allow_uncertified=True, cache_dir="none")
