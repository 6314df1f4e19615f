# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""No command replaces what it reads, and what can be refused is refused before a model is loaded."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, io
from medsam_engine.base.output_check import check_output_folder, check_outputs

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from dicom_builder import straight, write_series

from medsam_engine.cli.app import run

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
SHAPE = (3, 20, 30)
Files = dict[str, bytes]
Link = Callable[[Path, Path], object]


class NoEngine:
    """Stands in for Engine, and must not be asked for."""

    def __init__(self, *_: object, **__: object) -> None:
        pytest.fail("a model was loaded")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume (also as MHD with its data beside it, and as a series), labels 3 and 7, a picture, a bundle, cases."""
    values = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 2:5, 2:5], labels[1, 9:12, 9:12] = 3, 7
    for name, array in (("i.nii.gz", values), ("i.mhd", values), ("l.nii.gz", labels)):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
    Image.fromarray(values[0].astype(np.uint8)).save(tmp_path / "p.png")
    write_series(tmp_path / "s", values, straight(3, 2.0))
    shutil.copytree(TINY, tmp_path / "bundle")
    for name in ("cases", "truth"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "2DBox_a.npz", imgs=values[0].astype(np.uint8), boxes=[[1, 1, 5, 5]], gts=labels[0])
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(tmp_path / "bundle"))
    monkeypatch.setattr("medsam_engine.cli.model_options.Engine", NoEngine)
    monkeypatch.setattr("medsam_engine.cohort.run_engine.Engine", NoEngine)
    monkeypatch.setattr("medsam_engine.cli.bundle.certify.Engine", NoEngine)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> Files:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    before = content(Path.cwd())
    assert run(arguments) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("medsam-engine: ")]
    assert content(Path.cwd()) == before
    return line


BOX, FLAT = ("--box", "1,1,0,5,5,2"), ("--box", "1,1,5,5")
SEGMENT = [
    ["i.nii.gz", *BOX, "-o", "i.nii.gz"],
    ["i.nii.gz", *BOX, "-o", "bundle/../i.nii.gz"],
    ["s", *BOX, "-o", "s/001.dcm"],
    ["s", *BOX, "-o", "s/003.dcm"],
    ["s/001.dcm", *FLAT, "-o", "s/001.dcm"],
    ["i.nii.gz", "--boxes-from", "l.nii.gz", "-o", "l.nii.gz"],
    ["i.nii.gz", "--boxes-from", "l.nii.gz", "-o", "m.nii.gz", "--preview", "linked.png"],
    ["p.png", *FLAT, "-o", "m.png", "--preview", "m.png"],
    ["p.png", *FLAT, "-o", "m.png", "--preview", "M.png"],
    ["p.png", *FLAT, "-o", "m.npz", "--preview", "p.png"],
]


@pytest.mark.parametrize("arguments", SEGMENT, ids=" ".join)
def test_segment(place: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    os.link(place / "i.nii.gz", place / "linked.png")
    assert "expected different files" in refused(["segment", *arguments], capsys)


@pytest.mark.parametrize("link", [os.link, pytest.param(os.symlink, marks=pytest.mark.needs("links"))])
@pytest.mark.parametrize("source", ["i.nii.gz", "l.nii.gz", "bundle/encoder.onnx", "bundle/manifest.json"])
def test_segment_through_links(place: Path, link: Link, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    link(place / source, place / "out.nii.gz")
    arguments = ["segment", "i.nii.gz", "--boxes-from", "l.nii.gz", "-o", "out.nii.gz"]
    assert Path(source).name in refused(arguments, capsys)


def test_the_data_beside_a_header(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data,) = set(place.glob("i.*raw"))
    os.link(data, place / "out.nii")
    assert data.name in refused(["segment", "i.mhd", *BOX, "-o", "out.nii"], capsys)


@pytest.mark.needs("links")
def test_a_slice_that_is_not_there_yet(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "s" / "000.dcm").symlink_to("../annex/not-fetched")
    assert "000.dcm" in refused(["segment", "s", *BOX, "-o", "s/000.dcm", "--skip-unreadable"], capsys)
    assert (place / "s" / "000.dcm").is_symlink()


def test_what_stands_beside_a_series_may_be_replaced(place: Path) -> None:
    (place / "s" / "mask.nii.gz").write_bytes(b"of the run before")
    check_outputs({"--output": place / "s" / "mask.nii.gz"}, [place / "i.nii.gz"])
    from medsam_engine.io.source_files import source_files

    assert {path.name for path in source_files(place / "s")} == {"001.dcm", "002.dcm", "003.dcm"}


OTHERS = [
    ["eval", "-s", "cases", "-g", "truth", "--csv", "truth/2DBox_a.npz"],
    ["eval", "-s", "cases", "-g", "truth", "--csv", "cases/2DBox_a.npz"],
    ["eval", "-s", "cases", "-g", "truth", "--plot", "p.png", "--times", "t.csv", "--csv", "t.csv"],
    ["eval", "-s", "cases", "-g", "truth", "--plot", "linked.png", "--times", "t.csv"],
    ["bench", "bundle", "--json", "bundle/manifest.json"],
    ["bench", "bundle", "--json", "x.png", "--plot", "x.png"],
    ["certify", "bundle", "--images", "cases", "--table", "bundle/manifest.json"],
    ["certify", "bundle", "--images", "cases", "--table", "cases/2DBox_a.npz"],
    ["half", "bundle", "--images", "cases", "--table", "cases/2DBox_a.npz"],
    ["half", "bundle", "--table", "bundle/encoder.onnx"],
    ["quantize", "bundle", "--images", "cases", "--out", "bundle/copy"],
    ["quantize", "bundle", "--images", "cases", "--out", "bundle"],
    ["export", "litemedsam", "--checkpoint", "bundle/encoder.onnx", "--out", "bundle"],
    ["export", "daft", "--checkpoint", "p.png", "--expert", "3D=bundle/encoder.onnx", "--out", "bundle"],
    ["export", "mcp_medsam", "--checkpoint", "p.png", "--clip", "bundle", "--out", "bundle/b"],
    ["run", "-i", "cases", "-o", "out", "--csv", "cases/2DBox_a.npz"],
    ["run", "-i", "cases", "-o", "out", "--csv", "bundle/manifest.json"],
    ["run", "-i", "cases", "-o", "out", "--csv", "out/2DBox_a.npz"],
    ["run", "-i", "cases", "-o", "linked", "--overwrite"],
    ["run", "-i", "cases", "-o", "cases"],
]


@pytest.mark.parametrize("arguments", OTHERS, ids=" ".join)
def test_other_commands(place: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name, module in (("export", "torch"), ("quantize", "torch"), ("half", "torch"), ("certify", "torch")):
        if arguments[0] == name:
            pytest.importorskip(module, reason="comes with the extra [export]")
    if arguments[0] in ("eval", "bench"):
        pytest.importorskip("matplotlib", reason="comes with the extra [eval]")
        pytest.importorskip("surface_distance", reason="comes with the extra [eval]")
    (place / "t.csv").write_text("case,time\n2DBox_a.npz,1\n")
    os.link(place / "t.csv", place / "linked.png")
    (place / "linked").mkdir()
    os.link(place / "cases" / "2DBox_a.npz", place / "linked" / "2DBox_a.npz")
    (place / "out").mkdir()
    line = refused(arguments, capsys)
    assert any(words in line for words in ("expected different files", "expected a f", "expected another one")), line


@pytest.mark.parametrize("command", ["certify", "half", "quantize"])
def test_a_bundle_that_cannot_be_changed(
    place: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="comes with the extra [export]")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))
    line = refused([command, str(place / "bundle"), "--images", "cases"], capsys)
    assert "manifest.json, expected a writable folder" in line


def test_fetch_into_its_own_download(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="comes with the extra [export]")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    (place / "cache" / "medsam-engine" / "checkpoints").mkdir(parents=True)
    words = refused(["fetch", "litemedsam", "--out", "cache"], capsys)
    assert "apart from what is read" in words


def test_names_that_some_file_systems_take_for_one(tmp_path: Path) -> None:
    composed, apart = "\u00e9.csv", "e\u0301.csv"
    for one, other in (("a.csv", "A.CSV"), (composed, apart)):
        with pytest.raises(InvalidArgument, match="twice"):
            check_outputs({"--csv": tmp_path / one, "--json": tmp_path / other}, [])
    check_outputs({"--csv": tmp_path / "a.csv", "--json": tmp_path / "b.csv"}, [tmp_path / "c.csv", None])


@pytest.mark.needs("links")
def test_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("in")
    for out in ("in", "link", "in/sub/new", "."):
        with pytest.raises(InvalidArgument, match="apart from what is read"):
            check_output_folder("--out", tmp_path / out, [tmp_path / "in"])
    with pytest.raises(InvalidArgument, match="it is a file"):
        check_output_folder("--out", tmp_path / "file", [])
    check_output_folder("--out", tmp_path / "out", [tmp_path / "in", tmp_path / "file", None])
    check_output_folder("--out", None, [tmp_path])


EARLY = [
    (["i.nii.gz", "--box", "1,1,0,30,5,2", "-o", "m.nii.gz"], ""),
    (["i.nii.gz", "--box", "1,1,0,31,5,2", "-o", "m.nii.gz"], "0 <= x <= 29"),
    (["i.nii.gz", "--box", "1,1,0,5,5,4", "-o", "m.nii.gz"], "0 <= z <= 2"),
    (["i.nii.gz", "--box", "1,1,0.5,5,5,2", "-o", "m.nii.gz"], "whole slice numbers"),
    (["i.nii.gz", "--box", "1,6,0,5,5,2", "-o", "m.nii.gz"], "y0 <= y1"),
    (["p.png", "--box=-1,1,5,5", "-o", "m.png"], "0 <= x <= 29"),
    (["p.png", "--box", "1,1,nan,5", "-o", "m.png"], "finite"),
    (["p.png", "--point", "30,5,1", "-o", "m.png"], "inside the image of 30 x 20"),
    (["s", "--boxes-from", "70000.nii.gz", "-o", "m.dcm"], "at most 65535"),
    (["flat.nii.gz", "--boxes-from", "70000flat.nii.gz", "-o", "m.png"], "at most 65535"),
    (["i.nii.gz", *BOX, "-o", "absent/m.nii.gz"], "existing folder"),
    (["i.nii.gz", *BOX, "-o", "m.xyz"], "name ending in"),
    (["i.nii.gz", *BOX, "-o", "pipe.nii.gz"], "a device, a pipe"),
    (
        ["i.nii.gz", *BOX, "-o", "n" * 260 + ".nii.gz"],
        "at most 255" if sys.platform == "win32" else "File name too long",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(a, words, id=" ".join(a)[:60], marks=pytest.mark.needs("pipes") if "pipe.nii.gz" in a else ())
        for a, words in EARLY
    ],
)
def test_refused_before_a_model_is_loaded(
    place: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "win32":
        os.mkfifo(place / "pipe.nii.gz")
    values = np.zeros((1, *SHAPE[1:]), np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(place / "flat.nii.gz"))
    many = np.zeros(SHAPE, np.uint32)
    many[:, 2:5, 2:5] = 70000
    series = io.read(place / "s")
    io.write(place / "70000.nii.gz", many, series)
    io.write(place / "70000flat.nii.gz", many[:1], io.read(place / "flat.nii.gz"))
    if not words:  # what the engine takes is not refused early
        with pytest.raises(pytest.fail.Exception, match="a model was loaded"):
            run(["segment", *arguments])
        return
    assert words in refused(["segment", *arguments], capsys)


def test_room_on_the_disk(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1 << 40, free=1000))
    assert "1000 bytes free" in refused(["segment", "i.nii.gz", *BOX, "-o", "m.nii"], capsys)
    io.check_output(place / "m.nii.gz", io.read(place / "i.nii.gz"))  # may well fit, compressed


def test_a_series_own_slice_is_not_overwritten_from_python(place: Path) -> None:
    image = io.read(place / "s")
    before = content(place)
    with pytest.raises(InvalidArgument, match="own file"):
        io.write(place / "s" / "001.dcm", np.ones(SHAPE, np.uint8), image)
    assert content(place) == before


def test_boxes_are_judged_as_the_engine_judges_them() -> None:
    engine = Engine(TINY, cache_dir="none")
    rng = np.random.default_rng(4)
    image, volume = np.zeros((8, 9), np.uint8), np.zeros((3, 8, 9), np.uint8)
    image[2:5, 2:5], volume[:, 2:5, 2:5] = 200, 200

    def verdict(call: Callable[[], object]) -> bool:
        try:
            call()
        except InvalidArgument:
            return False
        return True

    from medsam_engine.io.boxes import check_boxes

    verdicts = set()
    for target, segment in ((image, engine.segment), (volume, engine.segment_volume)):
        sides = np.array(target.shape[::-1])
        for _ in range(60):
            ends = np.sort(rng.integers(-1, sides + 2, (2, len(sides))), axis=0).astype(np.float64)
            ends += rng.choice([0.0, 0.5, np.nan], p=[0.95, 0.04, 0.01], size=ends.shape)
            box: NDArray[np.float64] = ends[:: rng.choice([1, -1], p=[0.9, 0.1])].reshape(1, -1)
            early, late = verdict(partial(check_boxes, box, target.shape)), verdict(partial(segment, target, box))
            assert early == late, (box, target.shape)
            verdicts.add((target.ndim, early))
    assert len(verdicts) == 4
