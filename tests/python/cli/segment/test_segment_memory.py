# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `medsam-engine segment` holds of a volume: its voxels, the labels, and no more than half of the voxels again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io
from medsam_engine.io.input_file import Unchanged

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")
pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
pytest.importorskip("nibabel", reason="nibabel is a test dependency")


from dicom_builder import straight, write_series
from nifti_builder import nib, patched, save

SHAPE = (128, 512, 512)  # 64 MiB of int16
TWO_SLICES, ALL_SLICES = "10,20,60,40,50,61", "10,20,0,40,50,127"

# The engine is replaced by one that writes every label, as the real one does, so that what is measured is the rest.
# The first run, of a small file, loads every module; what the second adds to the peak is the volume's.
CHILD = """
import sys
import numpy as np
import medsam_engine.cli.model_options as model_options
from engine_stand_in import EngineStandIn
from medsam_engine.cli.app import run

class Filler(EngineStandIn):
    def segment_volume(self, volume, boxes, progress):
        labels = np.full(volume.shape[:3], 0, np.uint16)
        labels[...] = 0
        for k, (x0, y0, z0, x1, y1, z1) in enumerate(boxes.astype(int), start=1):
            assert volume[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1].any()
            labels[z0 : z1 + 1, y0 : y1 + 1, x0 : x1 + 1] = k
        return labels

def peak():  # not ru_maxrss, which begins with the peak of the process that started this one
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

model_options.Engine = Filler
small, large, out, box, *options = sys.argv[1:]
assert run(["segment", small, "--box", "0,0,0,1,1,0", "-o", out, "--bundle", "none", *options]) == 0
before = peak()
assert run(["segment", large, "--box", box, "-o", out, "--bundle", "none", *options]) == 0
print(peak() - before)
"""


def voxels(shape: tuple[int, ...]) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-900, 900, shape, dtype=np.int16)


def written(folder: Path, kind: str, shape: tuple[int, ...]) -> Path:
    if kind == "series":
        positions = straight(shape[0], 1.0)
        write_series(folder, voxels(shape), positions, RescaleSlope=1, RescaleIntercept=0)
        return folder
    folder.mkdir()
    path = folder / kind
    save(path, voxels(shape).T, np.eye(4))
    if kind == "scaled.nii":
        patched(path, 112, "2f", 2.0, -3.0)  # scl_slope, scl_inter
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize(
    ("kind", "box", "window"),
    [
        ("a.nii", TWO_SLICES, "abdomen"),
        ("a.nii", TWO_SLICES, "percentile"),
        ("a.nii", TWO_SLICES, "none"),
        ("a.nii", ALL_SLICES, "percentile"),
        ("a.nii.gz", TWO_SLICES, "percentile"),
        ("series", TWO_SLICES, "percentile"),
        ("scaled.nii", TWO_SLICES, "full"),
    ],
)
def test_peak_memory(tmp_path: Path, kind: str, box: str, window: str) -> None:
    small, large = written(tmp_path / "small", kind, (2, 8, 8)), written(tmp_path / "large", kind, SHAPE)
    arguments = [str(small), str(large), str(tmp_path / "m.nii.gz"), box, "--window", window, "--modality", "CT"]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "support")},  # engine_stand_in
    )
    assert child.returncode == 0, child.stderr
    size = 2 * int(np.prod(SHAPE))
    labels = size
    most = size + labels + size // 2
    assert int(child.stdout) <= most, f"{int(child.stdout) / size:.2f} times the voxels"
    mask, _ = io.read_labels(tmp_path / "m.nii.gz")
    assert mask[60:62, 20:51, 10:41].all()
    assert mask.sum() == (2 if box == TWO_SLICES else len(mask)) * 31 * 31


def test_a_mapped_file_is_read_the_same_and_never_changed(tmp_path: Path) -> None:
    plain, odd, big = (tmp_path / name for name in ("plain.nii", "odd.nii", "big.nii"))
    save(plain, voxels((3, 6, 7)).T, np.eye(4))
    content = patched(save(odd, voxels((3, 6, 7)).T, np.eye(4)), 108, "f", 353.0).read_bytes()  # vox_offset
    odd.write_bytes(content[:352] + b"\0" + content[352:])  # voxels at an odd byte cannot be mapped as int16
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(">i2"))
    nib.save(nib.Nifti1Image(voxels((3, 6, 7)).T, np.eye(4), header), big)
    assert big.read_bytes()[:2] == b"\0\0"
    for path in (plain, odd, big):
        before = path.read_bytes()
        for memory_map in (True, False):
            values = io.read(path, memory_map=memory_map).array
            assert values.dtype == np.int16
            np.testing.assert_array_equal(values, voxels((3, 6, 7)))
            values[...] = 7
            assert (values == 7).all()
        assert path.read_bytes() == before


def test_a_file_that_changes_while_it_is_segmented_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", voxels((3, 6, 7)).T, np.eye(4))
    unchanged, unchanged_of_absent = Unchanged([path]), Unchanged([tmp_path / "absent"])
    assert unchanged.total_bytes == path.stat().st_size
    unchanged_of_absent.check()
    unchanged.check()
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InvalidArgument, match=r"a\.nii.*changed"):
        unchanged.check()
    Unchanged([tmp_path]).check()
    (tmp_path / "absent").touch()
    with pytest.raises(InvalidArgument, match=r"absent.*changed"):
        unchanged_of_absent.check()
