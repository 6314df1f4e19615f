# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment`: what it writes, and that bad input is one line and status 2."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, Segmentation, SegmentedObject, Session

Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")
pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine.cli.app import run
from medsam_engine.io.label_colors import colors_of

BOX = (30, 20, 90, 70)
BOX_TEXT = "30,20,90,70"


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    """As the command makes it, but for the cache."""
    return Engine(bundle, precision="auto", cache_bytes=0)


@pytest.fixture
def picture(tmp_path: Path, image: NDArray[np.uint8]) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(image).save(path)
    return path


@pytest.fixture(autouse=True)
def used_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", str(bundle))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as file:
        assert file.mode == "L"
        return np.array(file)


def test_boxes_become_labels(
    tmp_path: Path, picture: Path, image: NDArray[np.uint8], engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    mask, overlay = tmp_path / "mask.png", tmp_path / "overlay.png"
    boxes = ["--box", BOX_TEXT, "--box", "0,0,20.5,20"]
    assert run(["segment", str(picture), *boxes, "-o", str(mask), "--overlay", str(overlay)]) == 0
    np.testing.assert_array_equal(pixels(mask), engine.segment(image, [BOX, (0, 0, 20.5, 20)]))
    with Image.open(overlay) as file:
        assert file.mode == "RGB"
        drawn = np.asarray(file)
    assert min(drawn.shape[:2]) > 480  # 5 times as large, with axes around
    assert (drawn == colors_of([1])[0]).all(axis=2).any()
    assert (drawn == colors_of([2])[0]).all(axis=2).any()
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout stays free for pipes
    for word in ("load model", "encode image", "decode prompts", " ms", "label 1", "label 2", str(mask)):
        assert word in captured.err
    assert "are label numbers, which viewers show as black; see --preview" in captured.err


def test_points_and_one_box_are_one_object(
    tmp_path: Path, picture: Path, image: NDArray[np.uint8], engine: Engine
) -> None:
    mask = tmp_path / "mask.png"
    points = ["--point", "60,45,1", "--point", "5,5,0", "--allow-untrained"]
    assert run(["segment", str(picture), *points, "--box", BOX_TEXT, "-o", str(mask)]) == 0
    expected = engine.predict(engine.encode(image), BOX, [[60, 45], [5, 5]], [1, 0], allow_untrained=True).mask(0)
    np.testing.assert_array_equal(pixels(mask), expected)
    assert run(["segment", str(picture), *points, "-o", str(mask), "--profile", "clinical"]) == 0


@pytest.mark.parametrize("box", [(), ("--box", BOX_TEXT)])
def test_points_that_the_weights_do_not_know_are_clicks_of_a_session(
    tmp_path: Path,
    picture: Path,
    image: NDArray[np.uint8],
    engine: Engine,
    capsys: pytest.CaptureFixture[str],
    box: tuple[str, ...],
) -> None:
    mask = tmp_path / "mask.png"
    # The point beside the object may come first: the object begins with the one inside, unless there is a box.
    points = ["--point", "5,5,0", "--point", "60,45,1"]
    assert run(["segment", str(picture), *points, *box, "-o", str(mask), "--json"]) == 0
    session = Session(engine, image)
    if box:
        session.add_box("a", BOX)
        session.add_click("a", [5, 5], positive=False)
        session.add_click("a", [60, 45])
    else:
        session.add_click("a", [60, 45])
        session.add_click("a", [5, 5], positive=False)
    np.testing.assert_array_equal(pixels(mask), session.mask("a"))
    captured = capsys.readouterr()
    found = json.loads(captured.out)["objects"][0]
    assert found["pixels"] == session.objects[0].voxels > 0
    assert found["iou_estimate"] is None  # the model has rated other prompts
    how = "the points correct the mask of the box near them" if box else "is answered by a search over boxes"
    assert how in captured.err


def test_points_need_one_on_the_object_to_begin_with(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "mask.png"
    assert run(["segment", str(picture), "--point", "60,45,0", "-o", str(mask)]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == (
        "medsam-engine: points: got 1 of label 0 and no box, expected one on the object to begin with; add a point of "
        "label 1 or a box"
    )
    assert not mask.exists()


def test_points_that_the_weights_know_are_the_models_own(
    tmp_path: Path, picture: Path, image: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"
    mask = tmp_path / "mask.png"
    arguments = ["--point", "60,45,1", "--point", "5,5,0", "--bundle", str(tiny), "--precision", "f32"]
    assert run(["segment", str(picture), *arguments, "-o", str(mask)]) == 0
    knowing = Engine(tiny, cache_dir="none")
    expected = knowing.predict(knowing.encode(image), point_coords=[[60, 45], [5, 5]], point_labels=[1, 0]).mask(0)
    np.testing.assert_array_equal(pixels(mask), expected)
    assert "search over boxes" not in capsys.readouterr().err


def test_16_bit_gray_and_notes(
    tmp_path: Path, image: NDArray[np.uint8], engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = image[..., 0].astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    Image.fromarray(image).quantize(64).save(tmp_path / "palette.png")
    mask = tmp_path / "mask.png"
    assert run(["segment", str(tmp_path / "deep.tif"), "--box", BOX_TEXT, "-o", str(mask)]) == 0
    np.testing.assert_array_equal(pixels(mask), engine.segment(deep, [BOX]))
    assert run(["segment", str(tmp_path / "palette.png"), "--box", BOX_TEXT, "-o", str(mask)]) == 0
    assert "note: palette" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.png", "--box", BOX_TEXT], "no such file"),
        (["IMAGE"], "--boxes-from or --point"),
        (["IMAGE", "--box", "30,20,90"], "x0,y0,x1,y1"),
        (["IMAGE", "--box", "30 20 90 70"], "x0,y0,x1,y1"),
        (["IMAGE", "--box", "a,b,c,d"], "x0,y0,x1,y1"),
        (["IMAGE", "--box", "nan,0,9,9"], "nan"),
        (["IMAGE", "--box", "0,0,inf,9"], "inf"),
        (["IMAGE", "--box", "90,20,30,70"], "box"),
        (["IMAGE", "--box", "0,0,1000,70"], "128"),
        (["IMAGE", "--box=-9,0,9,9"], "box"),
        (["IMAGE", "--point", "5,5"], "x,y,label"),
        (["IMAGE", "--point", "5,5,2"], "label 2"),
        (["IMAGE", "--point", "500,5,1"], "point"),
        (["IMAGE", "--point", "5,5,1", "--box", BOX_TEXT, "--box", BOX_TEXT], "2 boxes"),
        (["IMAGE", "--box", BOX_TEXT, "--bundle", "nowhere"], "nowhere"),
        (["IMAGE", "--box", BOX_TEXT, "--profile", "nobody"], "profile"),
        (["IMAGE", "--box", BOX_TEXT, "--device", "TPU"], "TPU"),
        (["IMAGE", "--box", BOX_TEXT, "--precision", "f7"], "f7"),
        (["IMAGE", "--box", BOX_TEXT, "--threads", "-3"], "threads"),
        (["IMAGE", "--box", BOX_TEXT, "--threads", "two"], "threads"),
        (["IMAGE", "--box", BOX_TEXT, "--overlay", "MASK"], "different files"),
        (["IMAGE", "--box", BOX_TEXT, "--overlay", "IMAGE"], "different files"),
        (["IMAGE", "--box", BOX_TEXT, "--overlay", "no/such/o.png"], "existing folder"),
        (["IMAGE", "--box", BOX_TEXT, "--color", "red"], "--color"),
        ([], "image"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    mask = tmp_path / "mask.png"
    names = {"IMAGE": str(picture), "MASK": str(mask)}
    before = picture.read_bytes()
    assert run(["segment", *(names.get(a, a) for a in arguments), "-o", str(mask)]) == 2
    captured = capsys.readouterr()
    # Steps that were done are told before; the error is the last line and the only one of its kind.
    errors = [line for line in captured.err.splitlines() if line.startswith("medsam-engine: ")]
    assert len(errors) == 1
    assert captured.err.splitlines()[-1] == errors[0]
    assert words in errors[0]
    assert "Traceback" not in captured.err
    assert not mask.exists()
    assert picture.read_bytes() == before


def test_output_is_needed_and_checked_first(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["segment", str(picture), "--box", BOX_TEXT]) == 2
    for target in ("mask.jpg", "no/such/mask.png"):
        assert run(["segment", str(picture), "--box", BOX_TEXT, "-o", str(tmp_path / target)]) == 2
    assert "load model" not in capsys.readouterr().err


def test_an_empty_mask_is_said(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Segmentation(np.zeros((96, 128), np.uint16), (SegmentedObject(1, 0, None, 0.01),))
    monkeypatch.setattr(Engine, "segment_objects", lambda *_: nothing)
    assert run(["segment", str(picture), "--box", BOX_TEXT, "-o", str(tmp_path / "m.png")]) == 0
    assert "nothing found" in capsys.readouterr().err
