# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment --planes`: the planes along all three axes, of volumes whose voxels are nearly cubes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

nibabel = pytest.importorskip("nibabel", reason="nibabel is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine import Engine, io
from medsam_engine.cli.app import run

BOX = [6, 4, 3, 22, 19, 15]
BOX_TEXT = ",".join(map(str, BOX))


@pytest.fixture
def cube() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 255, (20, 24, 28)).astype(np.uint8)


def written(path: Path, array: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Path:
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1])
    nibabel.Nifti1Image(array.transpose(2, 1, 0), affine).to_filename(path)
    return path


def test_three_planes_are_the_engines(tmp_path: Path, tiny_bundle: Path, cube: NDArray[np.uint8]) -> None:
    scan, mask = written(tmp_path / "scan.nii", cube, (0.9, 0.9, 1.2)), tmp_path / "mask.nii"
    arguments = ["segment", str(scan), "--box", BOX_TEXT, "--bundle", str(tiny_bundle), "--precision", "f32"]
    assert run([*arguments, "--window", "none", "--planes", "three", "-o", str(mask)]) == 0
    source = io.read(scan)
    engine = Engine(tiny_bundle, precision="f32")
    expected = engine.segment_volume(source.array, [BOX], planes="three", spacing=source.spacing)
    assert expected.any()
    assert (expected != engine.segment_volume(source.array, [BOX])).any()
    np.testing.assert_array_equal(io.read_labels(mask)[0], expected)


@pytest.mark.parametrize(
    ("planes", "spacing", "message"),
    [("three", (1, 1, 2), "1 x 1 x 2 mm"), ("two", (1, 1, 1), "--planes: got 'two'")],
)
def test_other_planes_are_refused(
    tmp_path: Path,
    bundle: Path,
    cube: NDArray[np.uint8],
    capsys: pytest.CaptureFixture[str],
    planes: str,
    spacing: tuple[float, float, float],
    message: str,
) -> None:
    scan, mask = written(tmp_path / "scan.nii", cube, spacing), tmp_path / "mask.nii"
    arguments = ["segment", str(scan), "--box", BOX_TEXT, "--bundle", str(bundle), "--planes", planes]
    assert run([*arguments, "-o", str(mask)]) == 2
    assert message in capsys.readouterr().err
    assert not mask.exists()


def test_an_image_has_one_plane(
    tmp_path: Path, bundle: Path, image: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    picture = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
    picture.fromarray(image).save(tmp_path / "image.png")
    arguments = ["segment", str(tmp_path / "image.png"), "--box", "30,20,90,70", "--bundle", str(bundle)]
    assert run([*arguments, "--planes", "three", "-o", str(tmp_path / "mask.png")]) == 2
    assert "--planes: got three for an image" in capsys.readouterr().err
