# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The command, killed while the page's work goes on, and started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from nifti_builder import affine
from nifti_builder import save as save_nifti
from served import DEADLINE, KEY

TINY = Path(__file__).resolve().parents[2] / "data/tiny_bundle"


@contextmanager
def command(scan: Path, folder: Path) -> Iterator[tuple[httpx.Client, str, subprocess.Popen[str]]]:
    """A running server with a scan: a client, the study's address, and the process, which is killed at the end."""
    words = [sys.executable, "-m", "medsam_engine", "serve", str(scan), "--bundle", str(TINY), "--port", "0"]
    words += ["--no-browser", "--save-folder", str(folder), "--key", KEY]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}) as process:
        assert process.stderr is not None
        said = ""
        while (found := re.search(r"MITK: (http://\S+)", said)) is None:
            line = process.stderr.readline()
            assert line, said
            said += line
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=found[1], headers=headers, timeout=DEADLINE) as client:
            (study,) = client.get("/api/state").json()["studies"]
            yield client, f"/api/studies/{study['id']}", process
        process.kill()


def test_the_command_killed_between_steps_and_started_again(tmp_path: Path) -> None:
    """All steps that were told as saved are there, with their masks, and the one after them wholly or not at all."""
    values = np.random.default_rng(4).integers(-500, 500, (5, 40, 48)).astype(np.int16)
    scan = save_nifti(tmp_path / "scan.nii.gz", values.transpose(), affine(2))
    box = {"kind": "box", "box": [4, 4, 27, 27]}
    with command(scan, tmp_path / "saved") as (client, study, _):
        for plane in range(3):
            client.post(f"{study}/prompts", json=box | {"object": f"object {plane}", "slice": plane}).raise_for_status()
        told = client.get(f"{study}/masks").json()  # which is behind the last step's save in the worker's queue
        assert told["saved"]
        client.post(f"{study}/prompts", json=box | {"object": "object 3", "slice": 3}).raise_for_status()
    with command(scan, tmp_path / "saved") as (client, study, _):
        found = client.get(f"{study}/masks").json()
    assert len(found["objects"]) in (3, 4)
    assert found["masks"][:3] == told["masks"]
    assert [item["prompts"] for item in found["objects"]] == [1] * len(found["objects"])
