# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`--json`: one object on standard output and nothing else, with the facts that the lines for people have."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import medsam_engine
from medsam_engine import Engine

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli.app import run
from medsam_engine.cli.json_output import json_text, plain_values

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
QUICK = ["--repeats", "1", "--size", "64"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def picture(tmp_path: Path, image: NDArray[np.uint8]) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    return path


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == status
    out = capsys.readouterr().out
    content = json.loads(out)  # all of it: nothing else is there
    assert isinstance(content, dict)
    assert content["schema"] == 1
    assert content["command"] == arguments[0]
    assert content["version"] == medsam_engine.__version__
    assert out.isascii()
    return content


def test_segment_of_an_image(
    tmp_path: Path, picture: Path, bundle: Path, image: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.png"
    boxes = ["--box", "30,20,90,70", "--box", "0,0,20.5,20"]
    arguments = ["segment", str(picture), *boxes, "-o", str(output), "--bundle", str(bundle), "--precision", "f32"]
    content = printed(arguments, capsys)
    engine = Engine(bundle)
    found = engine.segment_objects(image, np.array([[30, 20, 90, 70], [0, 0, 20.5, 20]]))
    assert (content["input"], content["output"], content["bundle"]) == (str(picture), str(output), str(bundle))
    assert (content["family"], content["profile"], content["device"]) == ("litemedsam", "clinical", engine.info.device)
    assert content["precision"]["name"] == "f32"
    assert content["window"] == "none"
    assert content["shape"] == [96, 128]
    assert content["spacing_mm"] is None
    assert content["notes"]
    assert set(content["seconds"]) >= {"read image", "load model", "encode image", "decode prompts", "write"}
    assert [o["label"] for o in content["objects"]] == [1, 2]
    assert [o["box"] for o in content["objects"]] == [[30, 20, 90, 70], [0, 0, 20.5, 20]]
    for told, wanted in zip(content["objects"], found.objects, strict=True):
        assert told["iou_estimate"] == pytest.approx(wanted.iou)
        assert told["pixels"] == np.count_nonzero(found.labels == told["label"])
        assert told["area_mm2"] is None
        assert told["name"] is None


def test_segment_of_a_volume_and_of_one_slice_with_a_spacing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    values = np.random.default_rng(0).integers(0, 255, (4, 48, 64)).astype(np.uint8)
    for name, part in (("v.nii.gz", values), ("s.nii.gz", values[:1])):
        made = sitk.GetImageFromArray(part)
        made.SetSpacing((0.5, 0.75, 4.0))
        sitk.WriteImage(made, str(tmp_path / name))
    options = ["--bundle", str(TINY), "-o", str(tmp_path / "m.nrrd")]
    content = printed(["segment", str(tmp_path / "v.nii.gz"), "--box", "10,8,1,40,30,2", *options], capsys)
    volume = content["objects"][0]
    assert volume["voxels"] > 0
    assert volume["volume_mm3"] == pytest.approx(volume["voxels"] * 0.5 * 0.75 * 4)
    assert "pixels" not in volume
    assert volume["box"] == [10, 8, 1, 40, 30, 2]
    assert content["spacing_mm"] == [0.5, 0.75, 4.0]
    assert content["precision"]["certificate"] is None
    content = printed(["segment", str(tmp_path / "s.nii.gz"), "--box-mm=5,6,0,20,22.5,0", *options], capsys)
    flat = content["objects"][0]
    assert flat["area_mm2"] == pytest.approx(flat["pixels"] * 0.5 * 0.75)
    assert flat["box_mm"] == [5, 6, 0, 20, 22.5, 0]
    assert "voxels" not in flat


def test_the_lines_for_people_have_the_same_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    made = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (4, 48, 64)).astype(np.uint8))
    made.SetSpacing((0.5, 0.75, 4.0))
    sitk.WriteImage(made, str(tmp_path / "v.nii.gz"))
    arguments = ["segment", str(tmp_path / "v.nii.gz"), "--box", "10,8,1,40,30,2", "--bundle", str(TINY)]
    arguments += ["-o", str(tmp_path / "m.nrrd"), "--json"]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)["objects"][0]
    line = next(line for line in captured.err.splitlines() if line.startswith("label 1"))
    assert f"{told['voxels']} voxels" in line
    assert f"{told['volume_mm3'] / 1000:.3f} ml" in line
    assert f"IoU estimate {told['iou_estimate']:.2f}" in line


def test_an_image_without_spacing_has_no_millimeters(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "m.png")
    assert run(["segment", str(picture), "--box", "3,2,60,50", "-o", output, "--bundle", str(TINY)]) == 0
    err = capsys.readouterr().err
    assert "pixels" in err
    assert " mm" not in err
    assert " ml" not in err


def test_an_error_prints_nothing_on_standard_output(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["segment", str(picture), "--box", "9,9,1,1", "-o", str(tmp_path / "m.png"), "--bundle", str(TINY)],
        ["segment", str(picture), "--box", "1,1,9,9", "-o", str(tmp_path / "m.png"), "--bundle", "nowhere"],
        ["info", str(tmp_path / "nothing")],
        ["tune", str(tmp_path / "nothing")],
        ["bench", str(tmp_path / "nothing")],
        ["eval", "-s", str(tmp_path / "nothing"), "-g", str(tmp_path)],
    ):
        assert run([*command, "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines()[-1].startswith("medsam-engine: ")


def test_info(capsys: pytest.CaptureFixture[str], bundle: Path) -> None:
    content = printed(["info", str(bundle)], capsys)
    info = Engine(bundle).info
    assert content["model_hash"] == info.model_hash
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert content["models"] == manifest["models"]
    assert [c["agreement_mean"] for c in content["certificates"]] == [
        c["measured"]["agreement_mean"] for c in manifest["certificates"]
    ]
    assert {"origin", "obstacle", "encoder", "decoder", "images"} <= set(content["certificates"][0])
    assert printed(["info", str(TINY)], capsys)["certificates"] == []


def test_tune(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(["tune", str(TINY), "--show"], capsys)["stored"] is None
    content = printed(["tune", str(TINY), *QUICK], capsys)
    assert {row["encoder"] for row in content["measured"]["precisions"]} == {"f32"}
    assert len(content["measured"]["threads"]) > 1
    assert Path(content["stored"]).is_file()
    assert content["auto"]["tuned"]
    assert printed(["tune", str(TINY), "--clear"], capsys)["removed"]


def test_bench_to_standard_output_and_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = ["bench", str(TINY), *QUICK, "--no-roofline"]
    content = printed(bench, capsys)
    assert {row["precision"] for row in content["stages"]} == {"f32"}
    assert run(["bench", "--json", *bench[1:]]) == 0
    assert json.loads(capsys.readouterr().out)["stages"]
    assert run([*bench, "--json", str(tmp_path / "b.json")]) == 0
    assert "Milliseconds" in capsys.readouterr().out
    assert json.loads((tmp_path / "b.json").read_text())["schema"] == 1


def test_eval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("surface_distance", reason="surface-distance comes with the extra [eval]")
    truth = np.zeros((20, 20), np.uint8)
    truth[4:12, 4:12] = 1
    for folder in ("s", "g"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "g" / "2DBox_CT_a.npz", gts=truth)
    np.savez(tmp_path / "s" / "2DBox_CT_a.npz", segs=truth)
    np.savez(tmp_path / "g" / "2DBox_CT_b.npz", gts=truth)
    arguments = ["eval", "-s", str(tmp_path / "s"), "-g", str(tmp_path / "g")]
    content = printed(arguments, capsys, status=1)
    assert [(case["case"], case["dsc"]) for case in content["cases"]] == [("2DBox_CT_a.npz", 1.0)]
    assert content["mean"]["dsc"] == 1.0
    assert content["not_scored"][0]["case"].startswith("2DBox_CT_b")


def test_values_that_json_has_not() -> None:
    content = {
        "nan": math.nan,
        "path": Path("a\x1b[31m"),
        "array": np.arange(2),
        "number": np.float32(0.5),
        "t": (1, 2),
    }
    assert plain_values(content) == {"nan": None, "path": "a\x1b[31m", "array": [0, 1], "number": 0.5, "t": [1, 2]}
    text = json_text("x", content)
    assert "\x1b" not in text
    assert json.loads(text)["path"] == "a\x1b[31m"


def test_run_of_a_table(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from case_scans import table_of

    table = table_of(scans, "scans/mr.nii.gz,liver,4,5,1,20,19,3", "scans/absent.nii.gz,,4,5,1,20,19,3")
    content = printed(["run", str(table), str(tmp_path / "out"), "--bundle", str(TINY)], capsys, status=1)
    assert (content["done"], content["skipped"], content["failed"]) == (1, 0, 1)
    assert content["profile"] == "clinical"
    done, failed = content["cases"]
    assert (done["case"], done["status"], done["message"]) == ("scans/mr.nii.gz", "done", None)
    (found,) = done["objects"]
    labels, source = medsam_engine.io.read_labels(Path(done["output"]))
    assert found["voxels"] == int((labels == 1).sum())
    assert found["volume_mm3"] == pytest.approx(found["voxels"] * math.prod(source.spacing))
    assert (found["label"], found["name"]) == (1, "liver")
    assert (failed["status"], failed["objects"]) == ("failed", [])
    assert "absent.nii.gz" in failed["message"]
    again = printed(["run", str(table), str(tmp_path / "out"), "--bundle", str(TINY)], capsys, status=1)
    assert again["cases"][0]["objects"] == [found]
    assert again["skipped"] == 1


def test_run_of_a_folder(tmp_path: Path, image: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    np.savez(cases / "2DBox_a.npz", imgs=image, boxes=np.array([[4, 5, 30, 30]]))
    content = printed(["run", "-i", str(cases), "-o", str(tmp_path / "out"), "--bundle", str(TINY)], capsys)
    assert (content["done"], content["failed"]) == (1, 0)
    (case,) = content["cases"]
    assert (case["case"], case["boxes"], case["status"]) == ("2DBox_a.npz", 1, "done")
    assert "objects" not in case
