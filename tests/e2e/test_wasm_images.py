# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that the static page opens: values, grids and masks beside those of the package's own readers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ball_scan import BALL, SHAPE, affine, ball, corners
from dicom_builder import straight, write_series
from nifti_builder import QFORM_CODE, SFORM_CODE, nib, patched
from nifti_builder import save as save_nifti
from PIL import Image
from static_page import ROOT, NativeStudy, Site, StaticPage, check_labels, check_saved

from medsam_engine import Engine, io

RAW = ROOT.parent / "shared" / "data" / "raw"
# SHA-256 of the values that the page shows.
_DIGEST = """
const done = arguments[0];
crypto.subtle.digest("SHA-256", window.medsamPage.view.picture.values).then((digest) =>
  done(Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")));
"""
SMALL = np.random.default_rng(4).integers(-300, 900, (3, 5, 4))  # z, y, x


def check_opened(page: StaticPage, study: NativeStudy) -> None:
    """What the page knows of an image, and every value, beside the server's."""
    described = study.opened.described()
    for field in ("shape", "type", "color", "spacing", "spaced", "affine", "window", "modality"):
        wanted = described[field] or None if field == "modality" else described[field]
        got = page.value(f"window.medsamPage.view.study.{field}")
        if field in ("spacing", "affine", "window"):
            np.testing.assert_allclose(_numbers(got), _numbers(wanted), rtol=1e-12, atol=1e-12, err_msg=field)
        else:
            assert got == wanted, field
    digest = hashlib.sha256(np.ascontiguousarray(study.image.array).tobytes()).hexdigest()
    assert page.browser.execute_async_script(_DIGEST) == digest


def _numbers(value: Any) -> Any:
    return [value["low"], value["high"]] if isinstance(value, dict) else [] if value is None else value


def _qform_only(folder: Path) -> Any:
    return patched(
        save_nifti(folder / "q.nii", SMALL.astype(np.int16).transpose(), affine("oblique")), SFORM_CODE, "h", 0
    )


def _placeless(folder: Path) -> Any:
    path = save_nifti(folder / "none.nii", SMALL.astype(np.int16).transpose(), np.diag([0.5, 0.75, 2, 1]))
    return patched(patched(path, SFORM_CODE, "h", 0), QFORM_CODE, "h", 0)


def _other_units(folder: Path) -> Any:
    return save_nifti(
        folder / "meters.nii.gz", SMALL.astype(np.float64).transpose(), np.diag([1e-3, 1e-3, 2e-3, 1]), xyzt_units=1
    )


def _scaled(folder: Path) -> Any:
    path = save_nifti(folder / "scaled.nii", SMALL.astype(np.uint8).transpose(), affine("RAS"))
    return patched(path, 112, "ff", 2.5, -7.0)  # scl_slope, scl_inter


def _nifti_2(folder: Path) -> Path:
    nib.save(nib.Nifti2Image(SMALL.astype(np.int32).transpose(), affine("flipped")), folder / "two.nii.gz")
    return folder / "two.nii.gz"


def _big_endian(folder: Path) -> Path:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(SMALL.astype(">i2").transpose(), affine("sagittal"), header), folder / "big.nii")
    return folder / "big.nii"


NIFTI = (_qform_only, _placeless, _other_units, _scaled, _nifti_2, _big_endian)


@pytest.mark.parametrize("make", NIFTI)
def test_headers_of_nifti(make: Any, site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """What a header may say of the grid and the values is what the package makes of it, and so is a saved mask."""
    scan = make(tmp_path)
    page = StaticPage(chromium, site.address)
    page.open(scan)
    study = NativeStudy(native, scan)
    check_opened(page, study)
    page.keys("d")
    page.slice(0, 1)
    page.browser.execute_script("window.medsamPage.radius = 1")
    page.after(lambda: page.drag(0, (1, 1), (2, 3)))
    study.draw(page.sent())
    saved = page.save("nifti", chromium.downloads)
    wanted = study.save("nifti", tmp_path / "native")
    np.testing.assert_array_equal(io.read_labels(saved)[0], io.read_labels(wanted)[0])
    np.testing.assert_array_equal(io.read(saved).affine, study.image.affine)
    assert page.errors() == []


@pytest.mark.parametrize("kind", ["gray", "gray16", "color", "palette", "jpeg"])
def test_a_picture(kind: str, site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """A box in a picture; its mask as PNG and as NIfTI."""
    gray = np.clip(ball()[2].astype(int) + 60, 0, 255).astype(np.uint8)
    path = tmp_path / ("photo.jpg" if kind == "jpeg" else "photo.png")
    if kind == "gray16":
        Image.fromarray(gray.astype(np.uint16) * 200).save(path)
    elif kind in ("color", "jpeg"):
        Image.fromarray(np.stack([gray, gray // 2, 90 + gray // 4], -1)).save(path, quality=95)
    else:
        Image.fromarray(gray).convert("P" if kind == "palette" else "L").save(path)
    page = StaticPage(chromium, site.address)
    page.open(path)
    study = NativeStudy(native, path)
    check_opened(page, study)
    page.after(lambda: page.drag(0, *corners()))
    study.draw(page.sent())
    saved, wanted = page.save("png", chromium.downloads), study.save("png", tmp_path / "native")
    assert saved.name == wanted.name
    check_labels(np.asarray(Image.open(saved)), np.asarray(Image.open(wanted)))
    check_saved(page, study, tmp_path, chromium.downloads)
    assert page.errors() == []


def test_pictures_that_would_be_changed(site: Site, chromium: Any, tmp_path: Path) -> None:
    """They are refused in the package's words, and so are volumes of colors."""
    page = StaticPage(chromium, site.address)
    rgb = np.zeros((4, 5, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, affine("RAS")), tmp_path / "rgb.nii")
    assert "volume of colors" in page.refused(tmp_path / "rgb.nii")
    clear = np.full((8, 8, 4), 200, np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert "transparent pixels" in page.refused(tmp_path / "clear.png")
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "bits.png")
    assert "1-bit values" in page.refused(tmp_path / "bits.png")
    Image.fromarray(clear[..., :3]).convert("CMYK").save(tmp_path / "print.jpg")
    assert "4 components" in page.refused(tmp_path / "print.jpg")


ORIENTATIONS = {
    "axial": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "oblique": (0.8, 0.6, 0.0, 0.0, 0.0, -1.0),
}


@pytest.mark.parametrize("kind", ["axial", "coronal", "oblique", "rescaled", "padded", "inverted"])
def test_a_dicom_folder(kind: str, site: Site, native: Engine, chromium: Any, tmp_path: Path) -> None:
    """A series whose files lie in another order than their names, through the page's chooser of folders."""
    directions = ORIENTATIONS.get(kind, ORIENTATIONS["axial"])
    volume = ball()
    tags: dict[str, Any] = {}
    if kind == "rescaled":
        volume, tags = (volume + 1024).astype(np.uint16), {"RescaleIntercept": -1024, "RescaleSlope": 1}
    elif kind == "padded":
        volume[:, :6] = -2000
        tags = {"PixelPaddingValue": -2000}
    elif kind == "inverted":
        tags = {
            "Modality": "MR",
            "PhotometricInterpretation": "MONOCHROME1",
            "RescaleSlope": 0.5,
            "RescaleIntercept": 3,
        }
    folder = tmp_path / "series"
    write_series(folder, volume, straight(SHAPE[0], 2.5, directions), directions, **tags)
    (folder / "readme.txt").write_text("notes on the series")
    page = StaticPage(chromium, site.address)
    page.open(folder)
    study = NativeStudy(native, folder)
    check_opened(page, study)
    assert "1 files left out: no DICOM file" in page.value("document.getElementById('notes').textContent")
    x0, y0, _, x1, y1, _ = BALL
    page.slice(0, 2)
    page.after(lambda: page.drag(0, (x1 + 2, y0 - 2), (x0 - 2, y1 + 2)))
    study.draw(page.sent())
    saved, wanted = page.save("nifti", chromium.downloads), study.save("nifti", tmp_path / "native")
    check_labels(io.read_labels(saved)[0], io.read_labels(wanted)[0])
    np.testing.assert_allclose(io.read(saved).affine, io.read(wanted).affine, atol=1e-5)
    assert page.errors() == []


def test_dicom_files_that_are_no_volume(site: Site, chromium: Any, tmp_path: Path) -> None:
    """A slice that is missing, two series, a compressed file and one that is cut off are named."""
    page = StaticPage(chromium, site.address)
    gap = write_series(tmp_path / "gap", ball(), straight(SHAPE[0], 2.0))
    gap[3].unlink()
    assert "about 1 missing" in page.refused(tmp_path / "gap")
    cut = write_series(tmp_path / "cut", ball(), straight(SHAPE[0], 2.0))
    cut[2].write_bytes(cut[2].read_bytes()[:-500])
    assert cut[2].name in page.refused(tmp_path / "cut")
    two = write_series(tmp_path / "two", ball(), straight(SHAPE[0], 2.0))
    (tmp_path / "one").mkdir()
    write_series(tmp_path / "one", ball(), straight(SHAPE[0], 2.0))
    for number, file in enumerate(two):
        file.rename(tmp_path / "one" / f"b{number}.dcm")
    assert "got 2 in one, expected one" in page.refused(tmp_path / "one")
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.uid import JPEG2000Lossless

    packed = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    packed.file_meta.TransferSyntaxUID = JPEG2000Lossless
    packed.PixelData = pydicom.encaps.encapsulate([b"0" * 64])
    packed["PixelData"].is_undefined_length = True
    packed.save_as(tmp_path / "packed.dcm")
    assert "medsam-engine serve reads it" in page.refused(tmp_path / "packed.dcm")
    assert page.value("window.medsamPage.view") is None


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "examples_rgb_color.dcm"])
def test_a_single_dicom_file(name: str, site: Site, native: Engine, chromium: Any) -> None:
    """A flat image, with its spacing and its place."""
    from pydicom.data import get_testdata_file

    found = get_testdata_file(name, download=False)
    if not isinstance(found, str):
        pytest.skip(f"this pydicom comes without {name}")
    page = StaticPage(chromium, site.address)
    page.open(Path(found))
    check_opened(page, NativeStudy(native, Path(found)))


@pytest.mark.parametrize(
    "name",
    [
        "ct_series_uncompressed",
        "mr_series_oblique",
        "ct-3slice",
        "single_ct_uint16_rescale.dcm",
        "single_pet_slope.dcm",
        "anatomical_bigendian.nii",
        "ct_sts002_image.nii.gz",
    ],
)
def test_a_file_of_a_scanner(name: str, site: Site, native: Engine, chromium: Any) -> None:
    """Values, grid and window of real files."""
    path = RAW / name
    if not path.exists():
        pytest.skip(f"there is no {path}: docs/test_data.md")
    page = StaticPage(chromium, site.address)
    page.open(path)
    check_opened(page, NativeStudy(native, path))


@pytest.mark.parametrize("name", ["ct_series_jpeg2000", "multiframe_ct.dcm", "oblique_4d.nii.gz", "mr_brain.nrrd"])
def test_what_only_the_server_reads(name: str, site: Site, chromium: Any) -> None:
    """One sentence, which says what does."""
    path = RAW / name
    if not path.exists():
        pytest.skip(f"there is no {path}: docs/test_data.md")
    assert "medsam-engine serve" in StaticPage(chromium, site.address).refused(path)


def test_a_dicom_file_that_is_no_image(site: Site, chromium: Any) -> None:
    path = RAW / "dicom_seg_liver.dcm"
    if not path.exists():
        pytest.skip(f"there is no {path}: docs/test_data.md")
    assert "got SEG in dicom_seg_liver.dcm, expected an image" in StaticPage(chromium, site.address).refused(path)
