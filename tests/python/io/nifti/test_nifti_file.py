# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI: values and geometry against nibabel and SimpleITK, masks whose header is the image's, and damaged files."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from nifti_builder import DIM, PIXDIM, QFORM_CODE, SFORM_CODE, affine, patched, rotation, save

from medsam_engine import InvalidArgument, io
from medsam_engine.io.nifti.header import DTYPES, matrix_quaternion, quaternion_matrix

nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
RNG = np.random.default_rng(11)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])  # half of them left-handed
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_geometry_is_that_of_nibabel_and_simpleitk(tmp_path: Path, seed: int, suffix: str) -> None:
    values = RNG.integers(-500, 500, (6, 5, 4)).astype(np.int16)
    path = save(tmp_path / f"a{suffix}", values, affine(seed))
    image = io.read(path)
    assert image.array.shape == (4, 5, 6)
    np.testing.assert_array_equal(image.array, values.T)
    np.testing.assert_allclose(image.affine, LPS @ nib.load(path).affine, atol=1e-5)
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    expected = sitk.ReadImage(str(path))
    np.testing.assert_allclose(image.spacing, expected.GetSpacing(), atol=1e-5)
    np.testing.assert_allclose(image.origin, expected.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(image.direction.ravel(), expected.GetDirection(), atol=1e-5)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_mask_carries_the_header_of_its_image(tmp_path: Path, suffix: str) -> None:
    source = nib.Nifti1Image(RNG.random((6, 5, 4)).astype(np.float32), affine(3))
    source.set_qform(affine(3), code=1)
    source.set_sform(affine(4), code=4)  # two meanings, as after a registration
    source.header.set_xyzt_units("mm", "sec")
    source.header["cal_max"] = 7.0
    nib.save(source, tmp_path / "a.nii.gz")
    image = io.read(tmp_path / "a.nii.gz")
    assert any("qform and sform differ" in note for note in image.notes)
    labels = np.zeros((4, 5, 6), np.uint32)
    labels[1, 2, 3] = 200
    io.write(tmp_path / f"m{suffix}", labels, image)
    mask, original = nib.load(tmp_path / f"m{suffix}"), nib.load(tmp_path / "a.nii.gz")
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(mask.dataobj), labels.T)
    for name in ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(mask.header[name], original.header[name], err_msg=name)
    for name in ("srow_x", "srow_y", "srow_z", "qoffset_x", "qoffset_y", "qoffset_z"):
        np.testing.assert_array_equal(mask.header[name], original.header[name], err_msg=name)
    assert mask.header["cal_max"] == 0
    read, again = io.read_labels(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(read, labels)
    np.testing.assert_array_equal(again.affine, image.affine)


def test_units_of_meters_and_microns(tmp_path: Path) -> None:
    for unit, scale in ((1, 1000.0), (3, 0.001)):
        path = save(tmp_path / "a.nii", np.zeros((3, 3, 3), np.uint8), affine(0), xyzt_units=unit)
        np.testing.assert_allclose(io.read(path).spacing, np.array([0.7, 0.8, 3.0]) * scale, rtol=1e-5)


def test_big_endian_and_nifti2(tmp_path: Path) -> None:
    values = RNG.integers(-500, 500, (6, 5, 4)).astype(np.int16)
    swapped = nib.Nifti1Image(values, affine(2), nib.Nifti1Header(endianness=">"))
    nib.save(swapped, tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes()[:4] == struct.pack(">i", 348)
    nib.save(nib.Nifti2Image(values, affine(2)), tmp_path / "n2.nii.gz")
    for name in ("b.nii", "n2.nii.gz"):
        image = io.read(tmp_path / name)
        np.testing.assert_array_equal(image.array, values.T)
        np.testing.assert_allclose(image.affine, LPS @ affine(2), atol=1e-5)
        io.write(tmp_path / "mask.nii.gz", np.ones((4, 5, 6), np.uint8), image)
        mask = nib.load(tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), 1)
        np.testing.assert_allclose(mask.affine, affine(2), atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int8", "int16"), ("uint8", "uint8"), ("uint16", "uint16"), ("int32", "int16"), ("float64", "float32")],
)
def test_types(tmp_path: Path, dtype: str, expected: str) -> None:
    values = np.arange(60).reshape(5, 4, 3).astype(dtype)
    image = io.read(save(tmp_path / "a.nii", values, affine()))
    assert image.array.dtype == expected
    np.testing.assert_array_equal(image.array, values.T)


def test_rescale(tmp_path: Path) -> None:
    values = np.arange(60).reshape(5, 4, 3).astype(np.int16)
    for slope, inter, dtype in ((2.0, -100.0, np.int16), (0.5, 0.0, np.float32), (0.0, 5.0, np.int16)):
        path = save(tmp_path / "a.nii", values, affine())
        content = bytearray(path.read_bytes())
        struct.pack_into("<ff", content, 112, slope, inter)  # scl_slope, scl_inter
        path.write_bytes(content)
        image = io.read(path)
        assert image.array.dtype == dtype
        np.testing.assert_array_equal(image.array, values.T * slope + inter if slope else values.T)


def test_4d_asks_which(tmp_path: Path) -> None:
    values = RNG.integers(0, 99, (5, 4, 3, 2)).astype(np.int16)
    path = save(tmp_path / "a.nii.gz", values, affine())
    with pytest.raises(InvalidArgument, match=r"2 volumes.*--volume N.*0 to 1"):
        io.read(path)
    for k in (0, 1):
        np.testing.assert_array_equal(io.read(path, volume=k).array, values[..., k].T)
    with pytest.raises(InvalidArgument, match="expected 0 to 1"):
        io.read(path, volume=2)
    io.write(tmp_path / "m.nii", np.ones((3, 4, 5), np.uint8), io.read(path, volume=1))
    assert nib.load(tmp_path / "m.nii").shape == (5, 4, 3)
    example = Path(nib.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    if example.is_file():
        image = io.read(example, volume=1)
        np.testing.assert_array_equal(image.array, np.asarray(nib.load(example).dataobj)[..., 1].T)


@pytest.mark.parametrize("junk", [b"junk behind it", b"\0" * 70000, b"\0" * 70000 + b"x", b"\x1f", b"x" * 200000])
def test_bytes_behind_compressed_data(tmp_path: Path, junk: bytes) -> None:
    values = RNG.integers(-500, 500, (6, 5, 4)).astype(np.int16)
    whole = gzip.compress(save(tmp_path / "a.nii", values, affine(2)).read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(whole + junk)
    image = io.read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.array, values.T)
    assert any("ignored" in note for note in image.notes) == bool(junk.strip(b"\0"))
    (tmp_path / "a.nii.gz").write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:] + junk)
    with pytest.raises(InvalidArgument, match="damaged"):
        io.read(tmp_path / "a.nii.gz")


def test_several_compressed_members(tmp_path: Path) -> None:
    """As bgzip writes a file: blocks of their own, one after another."""
    values = RNG.integers(-500, 500, (40, 50, 20)).astype(np.int16)
    content = save(tmp_path / "a.nii", values, affine(2)).read_bytes()
    blocks = [gzip.compress(content[k : k + 7001]) for k in range(0, len(content), 7001)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(blocks))
    np.testing.assert_array_equal(io.read(tmp_path / "a.nii.gz").array, values.T)
    (tmp_path / "a.nii.gz").write_bytes(b"".join(blocks[:-1]))
    with pytest.raises(InvalidArgument, match="cut off"):
        io.read(tmp_path / "a.nii.gz")


def test_contradicting_values(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.int16), affine())
    with pytest.raises(InvalidArgument, match="bitpix 16 for data type 2"):
        io.read(patched(path, 70, "h", 2))  # datatype, without its bitpix
    path = save(tmp_path / "b.nii", np.ones((4, 4, 4), np.int16), affine())
    for slope, inter in ((np.nan, np.nan), (0.0, np.nan), (np.nan, 3.0)):
        np.testing.assert_array_equal(io.read(patched(path, 112, "2f", slope, inter)).array, 1)
    with pytest.raises(InvalidArgument, match="scl_inter nan"):
        io.read(patched(path, 112, "2f", 2.0, np.nan))


@pytest.mark.parametrize("code", [32, 1536, 1792, 2304, 1])
def test_types_that_are_no_real_numbers(tmp_path: Path, code: int) -> None:
    """Complex, float128, RGBA, one bit."""
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.int16), affine())
    with pytest.raises(InvalidArgument, match=f"data type {code}"):
        io.read(patched(path, 70, "2h", code, 0))


def test_a_file_without_place(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), affine())
    patched(patched(path, QFORM_CODE, "h", 0), SFORM_CODE, "h", 0)
    image = io.read(path)
    assert not image.positioned
    assert any("does not say" in note for note in image.notes)
    io.write(tmp_path / "m.nii", np.zeros((4, 4, 4), np.uint8), image)
    assert nib.load(tmp_path / "m.nii").header["sform_code"] == 0
    patched(path, PIXDIM + 4, "f", 0.0)
    with pytest.raises(InvalidArgument, match="spacing"):
        io.read(path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 4), np.float32)
    values[1, 2, 3], values[0, 0, 0] = np.nan, np.inf
    with pytest.raises(InvalidArgument, match="2 voxels that are NaN or infinite"):
        io.read(save(tmp_path / "a.nii", values, affine()))


def test_damaged_files(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.nii", np.zeros((4, 5, 6), np.int16), affine()).read_bytes()
    compressed = gzip.compress(whole)
    for name, content in {
        "cut.nii": whole[:-1],
        "head.nii": whole[:200],
        "empty.nii": b"",
        "text.nii": b"hello" * 100,
        "cut.nii.gz": compressed[:-20],
        "flipped.nii.gz": compressed[:-8] + bytes(8),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidArgument) as caught:
            io.read(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    (tmp_path / "a.nii").write_bytes(whole)
    with pytest.raises(InvalidArgument, match="dimensions"):
        io.read(patched(tmp_path / "a.nii", DIM + 2, "h", -4))


def test_rgb(tmp_path: Path) -> None:
    values = RNG.integers(0, 255, (6, 5, 4, 3)).astype(np.uint8)
    typed = values.view(np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))[..., 0]
    image = io.read(save(tmp_path / "a.nii", typed, affine()))
    assert image.color
    assert image.grid == (4, 5, 6)
    np.testing.assert_array_equal(image.array, values.transpose(2, 1, 0, 3))


@pytest.mark.parametrize("seed", range(8))
def test_quaternions(seed: int) -> None:
    matrix = rotation(seed)
    np.testing.assert_allclose(quaternion_matrix(*matrix_quaternion(matrix)), matrix, atol=1e-7)
    half_turn = np.diag([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(quaternion_matrix(*matrix_quaternion(half_turn)), half_turn, atol=1e-7)


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """Ten times as much as its header needs, in a thousandth of the bytes: only what the header needs is kept."""
    header = np.zeros((), DTYPES[1])
    header["sizeof_hdr"], header["magic"], header["datatype"], header["vox_offset"] = 348, b"n+1", 2, 352
    header["dim"], header["pixdim"], header["bitpix"] = [3, 500, 400, 10, 1, 1, 1, 1], 1, 8
    zeros = header.tobytes() + bytes(4 + 20_000_000)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(zeros))
    tracemalloc.start()
    image = io.read(tmp_path / "bomb.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.array.shape == (10, 400, 500)
    assert peak < 16_000_000
    header["dim"] = [3, 30000, 30000, 30, 1, 1, 1, 1]
    (tmp_path / "a.nii").write_bytes(header.tobytes() + bytes(200))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.tobytes() + bytes(200)))
    for name in ("a.nii", "a.nii.gz"):
        with pytest.raises(InvalidArgument, match="cut off"):
            io.read(tmp_path / name)


@pytest.mark.parametrize(
    ("field", "value", "message"), [("magic", b"n+2", r"got magic n\+2"), ("srow", np.inf, "affine with NaN")]
)
def test_a_header_that_cannot_be(tmp_path: Path, field: str, value: object, message: str) -> None:
    """The magic of the other version; infinity in the sform, of which NumPy would warn on standard error."""
    header = np.zeros((), DTYPES[1])
    header["sizeof_hdr"], header["magic"], header["datatype"], header["vox_offset"] = 348, b"n+1", 2, 352
    header["dim"], header["pixdim"], header["bitpix"] = [3, 5, 4, 3, 1, 1, 1, 1], 1, 8
    header["sform_code"], header["srow"], header[field] = 1, np.eye(4)[:3], value
    (tmp_path / "a.nii").write_bytes(header.tobytes() + bytes(4 + 60))
    with pytest.raises(InvalidArgument, match=message):
        io.read(tmp_path / "a.nii")


@pytest.mark.parametrize("offset", [np.inf, -np.inf, np.nan, -1e30, 1e30])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_offset_that_is_none(tmp_path: Path, offset: float, suffix: str) -> None:
    header = np.zeros((), DTYPES[1])
    header["sizeof_hdr"], header["magic"], header["datatype"], header["vox_offset"] = 348, b"n+1", 2, offset
    header["dim"], header["pixdim"] = [3, 5, 4, 3, 1, 1, 1, 1], 1
    content = header.tobytes() + bytes(200)
    (tmp_path / f"a{suffix}").write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(InvalidArgument, match=r"vox_offset|cut off"):
        io.read(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("slope", "inter"), [(2.0**60, 0.0), (2.0**62, 2.0**62), (-(2.0**61), 1.0), (1e30, 5.0)])
def test_a_slope_beyond_64_bits_does_not_wrap(tmp_path: Path, slope: float, inter: float) -> None:
    values = np.array([0, 1, 4, 8, 16, -16, 30000, -32768], np.int16).reshape(2, 2, 2)
    path = save(tmp_path / "a.nii", values, affine())
    patched(path, 112, "2f", slope, inter)  # scl_slope, scl_inter
    expected = (values.T.astype(np.float64) * slope + inter).astype(np.float32)
    np.testing.assert_array_equal(io.read(path).array, expected)
