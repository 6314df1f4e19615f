# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/pipeline.py on files made here, and every cell of examples/quick_start.ipynb."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray
from PIL import Image

from medsam_engine import Engine, io

ROOT = Path(__file__).resolve().parents[2]


def test_the_pipeline(bundle: Path, image: NDArray[np.uint8], box: tuple[int, ...], tmp_path: Path) -> None:
    z, y, x = np.mgrid[:6, :64, :80]
    ball = (x - 40) ** 2 + (y - 32) ** 2 + (4 * (z - 3)) ** 2 < 18**2
    volume = sitk.GetImageFromArray(np.where(ball, 190, 40).astype(np.uint8))
    volume.SetSpacing((0.8, 0.9, 4.0))
    volume.SetOrigin((-10.0, 5.0, 30.0))
    sitk.WriteImage(volume, str(tmp_path / "ball.nii.gz"))
    Image.fromarray(image).save(tmp_path / "ellipse.png")
    table = tmp_path / "cases.csv"
    table.write_text(
        "file,name,x0,y0,z0,x1,y1,z1\n"
        "ball.nii.gz,ball,20,12,1,60,52,5\n"
        "absent.nii.gz,nothing,1,1,1,2,2,2\n"
        f"ellipse.png,ellipse,{box[0]},{box[1]},,{box[2]},{box[3]},\n"
        "ellipse.png,corner,0,0,,20,15,\n"
    )
    command = [sys.executable, str(ROOT / "examples" / "pipeline.py"), "--bundle", str(bundle), str(table)]
    result = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert result.returncode == 1, "a file that fails is told by the status"
    assert len(result.stderr.strip().splitlines()) == 1
    assert "absent.nii.gz" in result.stderr

    with (tmp_path / "out" / "objects.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == ["ball", "ellipse", "corner"]
    written = sitk.ReadImage(str(tmp_path / "out" / "ball_labels.nii.gz"))
    np.testing.assert_allclose(written.GetOrigin(), volume.GetOrigin(), rtol=1e-6)
    np.testing.assert_allclose(written.GetSpacing(), volume.GetSpacing(), rtol=1e-6)
    voxels = int(sitk.GetArrayFromImage(written).sum())
    assert int(rows[0]["voxels"]) == voxels
    assert float(rows[0]["ml"]) == pytest.approx(voxels * 0.8 * 0.9 * 4.0 / 1000)
    labels, _ = io.read_labels(tmp_path / "out" / "ellipse_labels.png")
    wanted = Engine(bundle, precision="auto").segment(image, [box, (0, 0, 20, 15)])
    np.testing.assert_array_equal(labels, wanted)


def test_the_notebook(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))
    mpl.use("Agg")
    notebook = json.loads((ROOT / "examples" / "quick_start.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 5
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        assert cell["outputs"] == [], "outputs are not committed"
        assert cell["execution_count"] is None
        exec(compile("".join(cell["source"]), f"quick_start.ipynb, cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "which is reversed" in said, "the error of the last cell"
    assert float(said.split("DSC ")[1].split()[0]) > 0.85
