# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Studies: windows, the work that survives the server, and a server that ends or is killed in the middle."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from served import DEADLINE, KEY, served

from medsam_engine import Engine, InvalidArgument, Session, io
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.serve import nnia
from medsam_engine.serve.access import Access
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.study import Study
from medsam_engine.serve.workplace import Limits, Workplace

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
SHAPE = (6, 24, 32)
BOX = (4, 4, 19, 15)


def image_of(path: Path, array: NDArray[np.generic], **more: Any) -> MedicalImage:
    path.touch()
    fields: dict[str, Any] = {"spacing": (1.0, 1.0, 2.0), "origin": (0.0, 0.0, 0.0), "direction": np.eye(3)}
    return MedicalImage(array=array, path=path, **{**fields, "modality": "", **more})


@pytest.fixture
def image(tmp_path: Path) -> MedicalImage:
    return image_of(tmp_path / "scan.nii.gz", np.random.default_rng(4).integers(0, 255, SHAPE).astype(np.uint8))


def test_a_study_goes_on_where_it_was(tiny_engine: Engine, image: MedicalImage, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "sessions"
    first = Study(tiny_engine, image, "JANE DOE", folder=folder)
    first.save()  # nothing to save yet
    assert not folder.exists()
    first.session.add_box("liver", BOX, slice=2)
    first.save()
    assert first.file is not None
    assert sys.platform == "win32" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "JANE" not in first.file.name
    second = Study(tiny_engine, image, "another name", folder=folder)
    assert [o.name for o in second.session.objects] == ["liver"]
    assert second.resumed
    np.testing.assert_array_equal(second.session.mask("liver"), first.session.mask("liver"))
    assert second.id != first.id


@pytest.mark.parametrize("what", ["pixels", "spacing", "window", "modality"])
def test_work_on_another_image_is_not_taken(
    tiny_engine: Engine, image: MedicalImage, tmp_path: Path, what: str
) -> None:
    first = Study(tiny_engine, image, "a", folder=tmp_path)
    first.session.add_box("liver", BOX, slice=2)
    first.save()
    changed = image.array.copy()
    changed[0, 0, 0] ^= 1
    other = {
        "pixels": lambda: Study(tiny_engine, image_of(image.path, changed), "a", folder=tmp_path),
        "spacing": lambda: Study(
            tiny_engine, image_of(image.path, image.array, spacing=(1.0, 1.0, 3.0)), "a", folder=tmp_path
        ),
        "window": lambda: Study(tiny_engine, image, "a", window="full", folder=tmp_path),
        "modality": lambda: Study(tiny_engine, image, "a", modality="MR", folder=tmp_path),
    }[what]()
    assert other.session.objects == []
    assert not other.resumed


def test_a_damaged_file_is_put_aside_and_not_overwritten(
    tiny_engine: Engine, image: MedicalImage, tmp_path: Path
) -> None:
    first = Study(tiny_engine, image, "a", folder=tmp_path)
    first.session.add_box("liver", BOX, slice=2)
    first.save()
    assert first.file is not None
    damaged = first.file.read_bytes()[:-20]
    first.file.write_bytes(damaged)
    second = Study(tiny_engine, image, "a", folder=tmp_path)
    assert second.session.objects == []
    assert any(f"{first.digest}.refused" in note for note in second.notes)
    second.save()
    first.file.write_bytes(damaged[:-1])
    third = Study(tiny_engine, image, "a", folder=tmp_path)
    assert third.session.objects == []
    assert first.file.with_suffix(".refused").read_bytes() == damaged
    assert first.file.with_suffix(".refused-2").read_bytes() == damaged[:-1]


def test_a_study_is_windowed_as_the_commands_do(tiny_engine: Engine, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-1000, 500, SHAPE).astype(np.int16)
    padded = image_of(tmp_path / "x.dcm", values, modality="CT", padding=((-1000.0, -1000.0),) * 6)
    study = Study(tiny_engine, padded, "a")
    assert study.session.add_click("a", (10, 10), slice=2) is not None
    assert any("abdomen" in note for note in study.notes)
    expected = Session(
        tiny_engine,
        io_window(padded),
        (1.0, 1.0, 2.0),
        "none",
        encode_ahead=False,
    )
    expected.add_click("a", (10, 10), slice=2)
    np.testing.assert_array_equal(study.session.mask("a"), expected.mask("a"))


def io_window(image: MedicalImage) -> NDArray[np.generic]:
    from medsam_engine.windows import apply_window

    return apply_window(image.array, None, image.modality, padding=image.padding)


def test_color_and_flat_images(tiny_engine: Engine, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    picture = image_of(tmp_path / "slice.png", pixels, color=True)
    study = Study(tiny_engine, picture, "a", folder=tmp_path)
    study.session.add_box("a", BOX)
    study.close()
    picture.path.unlink()  # an upload's file
    assert study.opened is None
    picture.path.touch()
    assert Study(tiny_engine, picture, "a", folder=tmp_path).session.mask("a").shape == (24, 32)


def test_a_study_is_described_without_its_file(tiny_engine: Engine, image: MedicalImage) -> None:
    """It may be on a disk that was taken out since."""
    study = Study(tiny_engine, image, "a")
    image.path.unlink()
    assert OpenStudy(study).described()["window"]["low"] < 255


def test_as_many_studies_as_may_be(tiny_engine: Engine, image: MedicalImage) -> None:
    workplace = Workplace(tiny_engine, Access("127.0.0.1", KEY), Limits(studies=2))
    images = [image_of(image.path, image.array + k) for k in range(3)]
    for k in (0, 1):
        workplace.open_study(workplace.new_study(images[k], "a"))
    with pytest.raises(InvalidArgument, match="fewer than 2"):
        workplace.open_study(workplace.new_study(images[2], "c"))
    workplace.worker.close()


# --- ends -------------------------------------------------------------------------------------------------------------


def test_what_is_begun_when_the_server_ends_is_answered(
    tiny_engine: Engine, image: MedicalImage, tmp_path: Path
) -> None:
    """A prediction is under way and a study is open: the client gets its answer, and the study is on the disk."""
    begun, go = threading.Event(), threading.Event()
    workplace = Workplace(tiny_engine, Access("127.0.0.1", KEY), Limits(), folder=tmp_path)
    study = workplace.open_study(workplace.new_study(image, "a"))
    replies = []

    def hold(*_: object) -> None:
        begun.set()
        assert go.wait(DEADLINE)

    with served(workplace) as server:
        workplace.worker.submit(study.id, lambda: study.session.add_box("liver", BOX, slice=2)).result(DEADLINE)
        token = json.loads(server.ask("POST", "/claim", b"").body)["lease_token"]
        server.ask("POST", "/set_image", nnia.pack(image.array[np.newaxis]), X_Lease_Token=token)
        workplace.worker.submit("other", hold)
        body = {"bbox_coords": [[2, 3], [4, 16], [4, 20]], "include_interaction": True}
        asking = threading.Thread(
            target=lambda: replies.append(server.post("/add_bbox_interaction", token, body)), daemon=True
        )
        asking.start()
        assert begun.wait(DEADLINE)
        while not workplace.worker.waiting and not replies:  # until the request is queued
            threading.Event().wait(0.001)
        workplace.begin_to_end()
        go.set()
    asking.join(DEADLINE)
    assert [reply.status for reply in replies] == [200]
    assert replies[0].body
    again = Study(tiny_engine, image, "a", folder=tmp_path)
    assert [o.name for o in again.session.objects] == ["liver"]


WORK = """
import sys, numpy as np
from pathlib import Path
from medsam_engine import Engine
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.serve.api.open_study import OpenStudy
from medsam_engine.serve.study import Study
array = np.load(sys.argv[2])
image = MedicalImage(array, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3), "", Path(sys.argv[2]).with_name("scan.nii.gz"))
study = Study(Engine(sys.argv[1], cache_dir="none"), image, "a", folder=Path(sys.argv[3]))
print("resumed", len(study.session.objects), flush=True)
n = len(study.session.objects)
while True:
    study.session.add_box(f"object {n}", (4, 4, 19, 15), slice=n % 6)
    study.save()
    n += 1
    print(n, flush=True)
"""


def test_killed_in_the_middle_and_resumed(tiny_engine: Engine, image: MedicalImage, tmp_path: Path) -> None:
    """Killed while it works and saves without end, three times: whatever was told as saved is there."""
    np.save(tmp_path / "pixels.npy", image.array)
    folder = tmp_path / "sessions"
    told = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WORK, str(TINY), str(tmp_path / "pixels.npy"), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline().split()[1]) >= told
            for _ in range(10):
                told = int(process.stdout.readline())
            process.kill()
            told = max([told, *(int(line) for line in process.stdout if line.endswith("\n"))])
        assert process.returncode == (
            1 if sys.platform == "win32" else -signal.SIGKILL
        )  # of kill(), and of nothing else
    study = Study(tiny_engine, image, "a", folder=folder)
    assert len(study.session.objects) >= told >= 30
    assert study.session.mask("object 7").any()


@pytest.mark.needs("signals")
def test_the_command_from_its_start_to_its_end(image: MedicalImage, tmp_path: Path) -> None:
    """It prints where it is, answers, and ends with status 0 after SIGTERM."""
    scan = tmp_path / "DOE_JANE.nii.gz"
    io.write(scan, image.array, image)
    command = [sys.executable, "-m", "medsam_engine", "serve", str(scan), "--bundle", str(TINY), "--port", "0"]
    command += ["--no-browser", "--log-json", "--save-folder", str(tmp_path / "saved"), "--key", KEY]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while not (found := re.search(r"MITK: http://127\.0\.0\.1:(\d+)  key: (\S+)", lines[-1] if lines else "")):
            line = process.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
        assert found[2] == KEY
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=DEADLINE)
        connection.request("GET", "/healthz")
        assert json.loads(connection.getresponse().read()) == {"ok": True}
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {KEY}"})
        assert b"medsam_studies 1.0" in connection.getresponse().read()
        connection.request("GET", "/", headers={"Authorization": f"Bearer {KEY}"})
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    events = [json.loads(line) for line in [*lines, *rest.splitlines()] if line.startswith("{")]
    assert {"study_opened", "request", "ended"} <= {event["event"] for event in events}
    assert all("DOE" not in json.dumps(event) and KEY not in json.dumps(event) for event in events)
    assert list((tmp_path / "saved").glob("*.session"))
