# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine eval --interactive`: sessions on the small model, from files to table, CSV, JSON and plot."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pytest.importorskip("surface_distance", reason="surface-distance comes with the extra [eval]")
pytest.importorskip("matplotlib", reason="matplotlib comes with the extra [eval]")

from medsam_engine import Engine
from medsam_engine.cli.app import run
from medsam_engine.measure.metrics import score_case

pytestmark = pytest.mark.usefixtures("tiny_bundle")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """An image of two objects, labels 2 and 5, and a volume of one, with their ground truth in the same files."""
    folder = tmp_path / "cases"
    folder.mkdir()
    flat = np.zeros((24, 32), np.uint8)
    flat[3:11, 4:14], flat[14:20, 18:30] = 2, 5
    volume = np.zeros((3, 24, 32), np.uint8)
    volume[1:, 5:15, 6:20] = 1
    noise = np.random.default_rng(0)
    for name, truth, rest in (
        ("2DBox_US_a_1.npz", flat, {}),
        ("3DBox_CT_b_1.npz", volume, {"spacing": np.array([0.5, 0.5, 2.0])}),
    ):
        pixels = (np.where(truth > 0, 180, 40) + noise.integers(0, 30, truth.shape)).astype(np.uint8)
        np.savez(folder / name, imgs=pixels, gts=truth, **rest)  # type: ignore[arg-type]  # savez takes any names
    return folder


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == status
    content = json.loads(capsys.readouterr().out)
    assert isinstance(content, dict)
    return content


def test_every_output(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    table, plot = tmp_path / "steps.csv", tmp_path / "steps.png"
    arguments = ["eval", "--interactive", "-g", str(cases), "--interactions", "2", "--csv", str(table)]
    assert run([*arguments, "--plot", str(plot)]) == 0
    shown = capsys.readouterr().out
    for words in ("DSC-AUC", "NSD 2", "US", "CT", "objects", "corrections", "start", "p95, ms"):
        assert words in shown
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
    content = printed(arguments, capsys)
    assert (content["schema"], content["command"], content["interactive"]) == (1, "eval", True)
    assert (content["start"], content["interactions"], content["family"]) == ("box", 2, "tiny")
    assert [case["case"] for case in content["cases"]] == ["2DBox_US_a_1.npz", "3DBox_CT_b_1.npz"]
    flat = content["cases"][0]
    assert [(found["label"], found["voxels"]) for found in flat["objects"]] == [(2, 80), (5, 72)]
    for scores in (*flat["objects"], flat, content["mean"], *content["by_modality"]):
        assert (len(scores["dsc"]), len(scores["nsd"])) == (3, 3)
        assert scores["dsc_auc"] == pytest.approx((scores["dsc"][1] + scores["dsc"][2]) / 2)
        assert scores["dsc_final"] == scores["dsc"][2]
    assert flat["dsc"][0] == pytest.approx(np.mean([found["dsc"][0] for found in flat["objects"]]))
    assert content["mean"]["cases"] == 2
    assert content["mean_of_objects"]["objects"] == 3
    assert content["seconds"]["start"]["calls"] == 3
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 9
    assert [row["interaction"] for row in rows[:3]] == ["0", "1", "2"]
    assert float(rows[3]["dsc"]) == pytest.approx(flat["objects"][1]["dsc"][0], abs=1e-4)


def test_the_score_of_the_box_is_the_engines(
    cases: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = printed(["eval", "--interactive", "-g", str(cases), "--interactions", "0"], capsys)
    engine = Engine(tiny_bundle, precision="auto")
    for case, box in zip(content["cases"], ([4, 3, 13, 10], [6, 5, 1, 19, 14, 2]), strict=True):
        with np.load(cases / case["case"]) as file:
            truth = (file["gts"] == case["objects"][0]["label"]).astype(np.uint8)
            labels = (engine.segment if len(box) == 4 else engine.segment_volume)(file["imgs"], [box])
        dsc, nsd, _ = score_case(labels, truth, [0.5, 0.5, 2.0])
        assert (case["objects"][0]["dsc"], case["objects"][0]["nsd"]) == ([dsc], [pytest.approx(nsd)])
        assert case["dsc_auc"] is None  # there is no area under no click


@pytest.mark.parametrize("start", ["box", "click", "slice-box"])
def test_starts_and_which_objects(cases: Path, capsys: pytest.CaptureFixture[str], start: str) -> None:
    arguments = ["eval", "--interactive", "-g", str(cases), "--start", start, "--interactions", "1", "--propagate"]
    content = printed([*arguments, "--least", "75", "--limit", "1"], capsys)
    assert [[found["label"] for found in case["objects"]] for case in content["cases"]] == [[2], [1]]
    assert (content["start"], content["propagate"], content["limit"], content["least"]) == (start, True, 1, 75)


def test_images_of_another_folder_and_cases_left_out(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, truth = tmp_path / "images", tmp_path / "truth"
    images.mkdir()
    truth.mkdir()
    with np.load(cases / "2DBox_US_a_1.npz") as file:
        pixels, labels = file["imgs"], file["gts"]
    for name, values in (("a.png", labels), ("empty.png", labels * 0), ("other.png", labels[:9]), ("none.png", labels)):
        Image.fromarray(values).save(truth / name)
        if name != "none.png":
            Image.fromarray(pixels).save(images / name)
    np.savez(images / "no.npz", imgs=pixels)
    np.savez(truth / "no.npz", imgs=pixels)
    arguments = ["eval", "--interactive", "-i", str(images), "-g", str(truth), "--interactions", "1"]
    content = printed(arguments, capsys, status=1)
    assert [(case["case"], case["modality"]) for case in content["cases"]] == [("a.png", None)]
    reasons = {problem["case"]: problem["reason"] for problem in content["not_scored"]}
    assert sorted(reasons) == ["empty.png", "no.npz", "none.png", "other.png"]
    assert "no object" in reasons["empty.png"]
    assert "expected gts" in reasons["no.npz"]
    assert "grid" in reasons["other.png"]
    assert run(arguments) == 1
    assert "4 of 5 cases not scored" in capsys.readouterr().err


def test_a_volume_that_a_session_would_take_for_rgb_is_left_out(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = np.ones((4, 5, 3), np.uint8)
    np.savez(cases / "3DBox_CT_c_1.npz", imgs=truth, gts=truth, spacing=np.ones(3))
    content = printed(["eval", "--interactive", "-g", str(cases), "--interactions", "0"], capsys, status=1)
    assert "3 columns" in content["not_scored"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interactive", "--start", "scribble"], "--start: got 'scribble', expected box, click, slice-box"),
        (["--interactive", "--interactions", "-1"], "--interactions"),
        (["--interactive", "--limit", "0"], "--limit"),
        (["--interactive", "-s", "CASES"], "--segs: got it with --interactive"),
        (["--interactive", "--plot", "p.svg"], ".png"),
        (["--interactive", "--csv", "no/such/s.csv"], "existing folder"),
        (["--interactive", "-i", "no_such_folder"], "no such folder"),
        (["--interactive", "--bundle", "nowhere"], "nowhere"),
        ([], "--segs: got none"),
        (["-s", "CASES", "--start", "click"], "--start: got it without --interactive"),
        (["-s", "CASES", "--interactions", "0"], "--interactions: got it without --interactive"),
        (["-s", "CASES", "--threads", "2"], "--threads: got it without --interactive"),
        (["-s", "CASES", "--trust-certificates"], "--trust-certificates: got it without --interactive"),
        (["-s", "CASES", "--propagate"], "--propagate: got it without --interactive"),
    ],
)
def test_bad_input(cases: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    given = [str(cases) if word == "CASES" else word for word in arguments]
    assert run(["eval", "-g", str(cases), *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err.splitlines()[-1]


def test_a_folder_without_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "--interactive", "-g", str(tmp_path)]) == 2
    assert "got no case in" in capsys.readouterr().err


def test_the_ground_truth_is_no_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be segmented, and score nearly 1."""
    labels = np.zeros((24, 32), np.uint8)
    labels[3:11, 4:14] = 1
    Image.fromarray(labels).save(tmp_path / "a.png")
    content = printed(["eval", "--interactive", "-g", str(tmp_path), "--interactions", "0"], capsys, status=1)
    assert content["cases"] == []
    assert "the ground truth a.png itself" in content["not_scored"][0]["reason"]
