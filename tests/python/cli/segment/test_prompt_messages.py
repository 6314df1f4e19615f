# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine segment` says of a prompt: counted from 1 as the labels, whole, and before anything slow."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, io

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")

from medsam_engine.cli.app import run

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """64 x 48 pixels."""
    path = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """64 x 48 x 6 voxels."""
    values = np.random.default_rng(0).integers(0, 255, (64, 48, 6)).astype(np.uint8)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def said(path: Path, words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["segment", str(path), *words, "-o", f"{path.parent}/m.nrrd", "--bundle", str(TINY)]) == status
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--box", "0,0,9,9", "--box", "1,2,65,9"], "box 2: got (1, 2, 65, 9), outside the image of 64 x 48"),
        (["--box", "9,2,5,9"], "box 1: got (9, 2, 5, 9), which is reversed"),
        (["--point", "5,5,1", "--point", "70,5,0"], "point 2: got (70, 5)"),
        (
            [],
            "prompt: got none, expected --box, --box-mm, --boxes-from or --point; `medsam-engine view` draws a scan",
        ),
    ],
)
def test_prompts_count_from_1_and_are_checked_before_the_model_is_loaded(
    picture: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = said(picture, words, 2, capsys)
    assert f"medsam-engine: {message}" in err
    assert "load model" not in err
    assert "encode" not in err


@pytest.mark.parametrize("box", ["1,2,3,65,9,5", "1,2,3,9,9,7", "1,2,3,9,9,2", "1,2,3.5,9,9,4"])
def test_a_box_of_a_volume_is_shown_with_its_six_numbers(
    scan: Path, box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = said(scan, ["--box", box], 2, capsys)
    assert f"medsam-engine: box 1: got ({box.replace(',', ', ')})" in err
    assert "load model" not in err


def test_an_end_beyond_the_last_pixel_is_noted(picture: Path, scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = said(picture, ["--box", "1,2,9,9", "--box", "1,2,64,47"], 0, capsys)
    assert "note: box 2: x1 64 lies outside the image (0 to 63); ends are inclusive, so it became 63" in err
    assert "box 1" not in err
    exclusive, _ = io.read_labels(picture.parent / "m.nrrd")
    assert "note: box" not in said(picture, ["--box", "1,2,9,9", "--box", "1,2,63,47"], 0, capsys)
    np.testing.assert_array_equal(io.read_labels(picture.parent / "m.nrrd")[0], exclusive)
    err = said(scan, ["--box", "1,2,0,9,48,6"], 0, capsys)
    assert "note: box 1: y1 48 lies outside the image (0 to 47)" in err
    assert "note: box 1: z1 6 lies outside the image (0 to 5)" in err


@pytest.mark.parametrize(
    "words",
    [["--box", "5,", "5,", "20,", "30"], ["--box", "5,", "-5,", "20,", "30"], ["--point", "5,", "5,", "1"]],
)
def test_spaces_between_the_numbers_are_named(
    picture: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    err = said(picture, words, 2, capsys)
    assert "no spaces between the numbers" in err
    assert len(err.splitlines()) == 1


def test_an_unexpected_word_of_another_kind_gets_no_such_hint(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no spaces" not in said(picture, ["--box", "5,5,20,30", "more"], 2, capsys)


def test_devices_in_lower_case(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(picture, ["--box", "5,5,20,30", "--device", "cpu"], 0, capsys)


def test_the_precision_is_auto_in_clinical_and_f32_in_parity(
    tmp_path: Path, bundle: Path, image: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(image).save(tmp_path / "i.png")
    arguments = ["segment", str(tmp_path / "i.png"), "--box", "30,20,90,70", "--bundle", str(bundle), "-o"]

    def line(*options: str) -> str:
        assert run([*arguments, str(tmp_path / "m.png"), *options]) == 0
        return next(text for text in capsys.readouterr().err.splitlines() if text.startswith("precision: "))

    auto = Engine(bundle, precision="auto").info
    stages = f"{auto.encoder_precision}/{auto.decoder_precision}"
    if stages == "f32/f32":
        assert "nothing faster is certified" in line()
    else:
        chosen = next(c for c in auto.certificates if (c.encoder, c.decoder) == tuple(stages.split("/")))
        told = line()
        assert told.startswith(f"precision: {stages}")
        assert f"agreement with f32 {chosen.agreement_mean:.3f} on {chosen.images} images" in told
        assert "--precision f32 for the reference" in told
    plain = Engine(bundle).info
    for options in (("--precision", "f32"), ("--profile", "litemedsam")):
        told = line(*options)
        assert told.startswith("precision: f32")
        if plain.encoder_precision == "f32":
            assert told == "precision: f32, the reference"


def test_the_bundles_own_word_is_not_taken_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # tests/cpp/precision/test_certificate_origin.cpp has the rules; here that the command's default keeps to them.
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / "i.png")
    err = said(tmp_path / "i.png", ["--box", "5,5,20,30"], 0, capsys)
    assert "precision: f32, the reference; nothing faster is certified for this bundle on this machine" in err
