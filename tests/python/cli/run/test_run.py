# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine run` and the program medsam-npz: the same answers, statuses and manners, on the tiny bundle."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import medsam_engine
from medsam_engine import Engine

pytest.importorskip("rich", reason="rich is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"
PATIENCE_S = 120  # a bound for a hung process, not a measure of speed


def program() -> list[str]:
    """medsam-npz of this package, or the one that $MEDSAM_NPZ names."""
    name = "medsam-npz.exe" if sys.platform == "win32" else "medsam-npz"
    path = Path(os.environ.get("MEDSAM_NPZ", Path(medsam_engine.__file__).parent / "bin" / name))
    if not path.is_file():
        pytest.skip(f"no program at {path}; build the package or set MEDSAM_NPZ")
    return [str(path)]


class Outcome(NamedTuple):
    status: int
    lines: list[str]  # of standard error


class Runner:
    """Runs one of the two with the tiny bundle, its cache in a folder of the test."""

    def __init__(self, command: list[str], cache: Path) -> None:
        self._command = command
        self._environment = {**os.environ, "MEDSAM_ENGINE_BUNDLE": str(TINY), "MEDSAM_ENGINE_CACHE": str(cache)}

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        command = [*self._command, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, *arguments: str | Path) -> Outcome:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert "--help" in arguments or "--version" in arguments or out == ""  # stdout stays free for pipes
        assert "Traceback" not in err
        return Outcome(process.returncode, err.splitlines())


@pytest.fixture(params=["medsam-engine run", "medsam-npz"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    python = [sys.executable, "-m", "medsam_engine", "run"]
    return Runner(python if request.param == "medsam-engine run" else program(), tmp_path / "cache")


@pytest.fixture
def npz_program(tmp_path: Path) -> Runner:
    return Runner(program(), tmp_path / "cache")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(TINY, cache_dir=tmp_path_factory.mktemp("cache"))


def random_pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """An RGB image, a 16-bit image with no boxes, a volume in Fortran order."""
    folder = tmp_path / "in"
    folder.mkdir()
    boxes = np.array([[5, 6, 30, 40], [20, 10, 60, 48]])
    np.savez_compressed(folder / "2DBox_US_a.npz", imgs=random_pixels(48, 64, 3), boxes=boxes)
    deep = random_pixels(20, 30).astype(np.uint16) * 99
    np.savez(folder / "2DBox_XRay_b.npz", imgs=deep, boxes=np.zeros((0, 4)), spacing=np.ones(3))
    volume = np.asfortranarray(random_pixels(5, 24, 32))
    np.savez_compressed(folder / "3DBox_CT_c.npz", imgs=volume, boxes=np.array([[4, 5, 1, 20, 19, 3]], ">f4"))
    return folder


def segs(path: Path) -> NDArray[np.uint16]:
    with np.load(path) as file:
        assert file.files == ["segs"]
        labels = file["segs"]
    assert labels.dtype == np.uint16
    return np.asarray(labels)


def assert_answers(cases: Path, out: Path, tiny: Engine) -> None:
    """Every case has its answer, and nothing else is in the folder."""
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in cases.iterdir())
    for path in cases.iterdir():
        with np.load(path) as case:
            imgs, boxes = case["imgs"], case["boxes"].astype(np.float64)
        expected = (
            tiny.segment_volume(np.ascontiguousarray(imgs), boxes)
            if path.name.startswith("3DBox")
            else tiny.segment(imgs, boxes)
        )
        np.testing.assert_array_equal(segs(out / path.name), expected)


def test_answers_are_the_engines(runner: Runner, cases: Path, tmp_path: Path, tiny: Engine) -> None:
    status, lines = runner("-i", cases, "-o", tmp_path / "out")
    assert status == 0, lines
    assert_answers(cases, tmp_path / "out", tiny)
    assert "3 cases done, 0 skipped, 0 failed" in lines[-1]


def test_finished_cases_are_skipped(runner: Runner, cases: Path, tmp_path: Path, tiny: Engine) -> None:
    out = tmp_path / "out"
    assert runner("-i", cases, "-o", out).status == 0
    np.savez_compressed(out / "2DBox_US_a.npz", segs=np.full((48, 64), 7, np.uint16))
    # Nothing to do, so a bundle that is not there is not missed.
    status, lines = runner("-i", cases, "-o", out, "--bundle", "nowhere")
    assert (status, "0 cases done, 3 skipped" in lines[-1]) == (0, True), lines
    assert (segs(out / "2DBox_US_a.npz") == 7).all()
    assert runner("-i", cases, "-o", out, "--overwrite").status == 0
    assert_answers(cases, out, tiny)


def test_broken_cases_are_reported_and_the_rest_go_on(runner: Runner, cases: Path, tmp_path: Path) -> None:
    whole = (cases / "2DBox_US_a.npz").read_bytes()
    (cases / "2DBox_truncated.npz").write_bytes(whole[:-9])
    imgs = random_pixels(20, 30)
    np.savez(cases / "2DBox_keys.npz", image=imgs, boxes=np.zeros((0, 4)))
    np.savez(cases / "2DBox_width.npz", imgs=imgs, boxes=np.zeros((1, 6)))
    np.savez(cases / "2DBox_outside.npz", imgs=imgs, boxes=[[0, 0, 31, 19]])
    np.savez(cases / "2DBox_reversed.npz", imgs=imgs, boxes=[[9, 0, 3, 19]])
    np.savez(cases / "2DBox_nan.npz", imgs=imgs, boxes=[[0, 0, np.nan, 19]])
    np.savez(cases / "2DBox_objects.npz", imgs=imgs, boxes=np.array([[0, 0, "1", 2]], dtype=object))
    np.savez(cases / "3DBox_outside.npz", imgs=random_pixels(5, 8, 8), boxes=[[0, 0, 0, 3, 3, 6]])
    (cases / "2DBox_folder.npz").mkdir()  # no file, so no case
    table = tmp_path / "times.csv"
    status, lines = runner("-i", cases, "-o", tmp_path / "out", "--csv", table, "-q")
    assert status == 1
    for name, words in {
        "2DBox_truncated": "truncated",
        "2DBox_keys": "no key imgs (keys: image.npy, boxes.npy)",
        "2DBox_width": "(N, 4)",
        "2DBox_outside": "boxes[0]",
        "2DBox_reversed": "boxes[0]",
        "2DBox_nan": "boxes[0]",
        "2DBox_objects": "never unpickled",
        "3DBox_outside": "boxes[0]",
    }.items():
        told = [line for line in lines if f"{name}.npz: " in line]
        assert len(told) == 1, (name, lines)
        assert words in told[0]
    assert len(lines) == 8
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "2DBox_US_a.npz",
        "2DBox_XRay_b.npz",
        "3DBox_CT_c.npz",
    ]
    with table.open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert len(rows) == 11
    assert rows["3DBox_CT_c.npz"]["status"] == "done"
    assert (rows["3DBox_CT_c.npz"]["objects"], rows["3DBox_CT_c.npz"]["slices"]) == ("1", "5")
    assert float(rows["3DBox_CT_c.npz"]["total_s"]) > 0
    assert rows["2DBox_nan.npz"]["status"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "-i"),
        (["-i", "IN"], "-o"),
        (["-i", "IN", "-o"], "-o"),
        (["-i", "IN", "-o", "OUT", "--color"], "--color"),
        (["-i", "IN", "-o", "OUT", "--threads", "two"], "--threads"),
        (["-i", "IN", "-o", "OUT", "--threads", "-3"], "threads"),
        (["-i", "nowhere", "-o", "OUT"], "input"),
        (["-i", "EMPTY", "-o", "OUT"], "no *.npz"),
        (["-i", "IN", "-o", "IN"], "input folder"),
        (["-i", "IN", "-o", "OUT", "--csv", "no/such/t.csv"], "csv"),
        (["-i", "IN", "-o", "OUT", "--bundle", "nowhere"], "nowhere"),
        (["-i", "IN", "-o", "OUT", "--profile", "nobody"], "profile"),
        (["-i", "IN", "-o", "OUT", "--precision", "f7"], "f7"),
        (["-i", "IN", "-o", "OUT", "--device", "TPU"], "TPU"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    runner: Runner, cases: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    names = {"IN": cases, "OUT": tmp_path / "out", "EMPTY": tmp_path / "empty"}
    status, lines = runner(*(names.get(a, a) for a in arguments))
    assert status == 2, lines
    assert len(lines) == 1
    assert words in lines[0]
    assert not list((tmp_path / "out").glob("*"))


def test_help_version_and_times(npz_program: Runner, cases: Path, tmp_path: Path) -> None:
    assert npz_program("--help") == Outcome(0, [])
    assert npz_program("--version") == Outcome(0, [])
    status, lines = npz_program("-i", cases, "-o", tmp_path / "out", "--times", "--cache-dir", "none", "--profile=tiny")
    assert status == 0
    for phase in ("list cases", "load bundle", "read first case", "segment first case"):
        assert any(phase in line for line in lines), lines


@pytest.mark.needs("links")
def test_the_bundle_is_found_as_python_finds_it(cases: Path, tmp_path: Path) -> None:
    runner = Runner(program(), tmp_path / "cache")
    data_home = tmp_path / "data"
    runner._environment.update(MEDSAM_ENGINE_BUNDLE="", XDG_DATA_HOME=str(data_home))
    out = tmp_path / "out"
    status, lines = runner("-i", cases, "-o", out)
    assert status == 2
    assert "got none named and none in" in lines[0]
    bundles = data_home / "medsam-engine" / "bundles"
    bundles.mkdir(parents=True)
    (bundles / "other").symlink_to(TINY)
    assert runner("-i", cases, "-o", out).status == 0
    (bundles / "more").symlink_to(TINY)
    status, lines = runner("-i", cases, "-o", out, "--overwrite")
    assert (status, "more, other" in lines[0]) == (2, True)
    (bundles / "litemedsam").symlink_to(TINY)
    assert runner("-i", cases, "-o", out, "--overwrite").status == 0


@pytest.fixture
def long_run(tmp_path: Path) -> Path:
    """One quick case, then one that takes far longer than it takes to notice the first answer."""
    folder = tmp_path / "in"
    folder.mkdir()
    np.savez_compressed(folder / "2DBox_a.npz", imgs=random_pixels(48, 64, 3), boxes=[[5, 6, 30, 40]])
    depth = 3000
    boxes = [[4, 4, 0, 60 + n, 60, depth - 1] for n in range(8)]
    np.savez_compressed(folder / "3DBox_b.npz", imgs=random_pixels(depth, 96, 96), boxes=boxes)
    np.savez_compressed(folder / "2DBox_z.npz", imgs=random_pixels(48, 64, 3), boxes=[[5, 6, 30, 40]])
    (folder / "2DBox_z.npz").rename(folder / "3DBox_z.npz")  # fails, and shows that the run came to its end
    return folder


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline


@pytest.mark.needs("signals")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_stopped_run_leaves_whole_files_and_goes_on(
    npz_program: Runner, long_run: Path, tmp_path: Path, tiny: Engine, name: str
) -> None:
    out, number = tmp_path / "out", signal.Signals[name]
    process = npz_program.start("-i", long_run, "-o", out)
    wait_for((out / "2DBox_a.npz").exists, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (-number if name == "SIGKILL" else 128 + number)
    assert [path.name for path in out.glob("*.npz")] == ["2DBox_a.npz"]
    if name != "SIGKILL":
        assert "interrupted" in err.splitlines()[-1]
        assert len(list(out.iterdir())) == 1
    status, lines = npz_program("-i", long_run, "-o", out)
    assert status == 1
    assert "1 case done, 1 skipped, 1 failed" in lines[-1]
    (long_run / "3DBox_z.npz").unlink()
    assert_answers(long_run, out, tiny)


@pytest.mark.needs("signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_python_command(long_run: Path, tmp_path: Path, number: signal.Signals, status: int) -> None:
    runner = Runner([sys.executable, "-m", "medsam_engine", "run"], tmp_path / "cache")
    out = tmp_path / "out"
    process = runner.start("-i", long_run, "-o", out)
    wait_for((out / "2DBox_a.npz").exists, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status
    assert err.splitlines()[-1] == "medsam-engine: interrupted"
    assert [path.name for path in out.iterdir()] == ["2DBox_a.npz"]


def test_what_a_killed_run_left_is_cleared(npz_program: Runner, cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    left = [out / ".2DBox_US_a.npz.0123456789abcdef.medsam-tmp", out / ".2DBox_US_a.npz.4711-0@host.tmp"]
    for path in left:
        path.write_bytes(b"half")
        os.utime(path, (0, 0))  # on a disk without locks, and of the version that held none, the age decides
    assert npz_program("-i", cases, "-o", out).status == 0
    assert not any(path.exists() for path in left)


@pytest.mark.needs("scripts")
def test_a_full_disk_is_a_failed_case(npz_program: Runner, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    boxes = np.array([[x, y, x + 8, y + 8] for x in range(0, 500, 10) for y in range(0, 500, 10)])
    np.savez_compressed(folder / "2DBox_large.npz", imgs=random_pixels(512, 512), boxes=boxes)
    np.savez_compressed(folder / "2DBox_small.npz", imgs=random_pixels(20, 30), boxes=[[2, 2, 9, 9]])
    npz_program("-i", folder, "-o", tmp_path / "warm")  # so that the cache of compiled models is there already
    command = ["bash", "-c", 'ulimit -f 2 && exec "$0" "$@"', *program(), "-i", folder, "-o", out, "-q"]
    process = subprocess.run(
        list(map(str, command)),
        check=False,
        env=npz_program._environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert process.returncode == 1, process.stderr
    assert "2DBox_large.npz: output: " in process.stderr
    assert [path.name for path in out.iterdir()] == ["2DBox_small.npz"]
