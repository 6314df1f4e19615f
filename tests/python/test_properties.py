# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Whatever is passed to the Python API, the answer is right in form or the error is one of the library's (hypothesis).

Over the tiny bundle, whose networks are arithmetic, so that thousands of calls take seconds.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, ModelError, Unsupported, io
from medsam_engine.io.nifti import header as nifti_header

TINY = Path(__file__).resolve().parents[1] / "data" / "tiny_bundle"
# The quick profile: the same examples on every run, so that a failure is one for everybody.
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
DTYPES = (np.uint8, np.uint16, np.int16, np.float32)
COORDINATES = st.one_of(st.integers(-3, 45), st.floats(-3, 45), st.floats(allow_nan=True, allow_infinity=True))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(TINY, cache_dir=tmp_path_factory.mktemp("cache"), threads=1, cache_bytes=0)


def expect_one_line(error: Exception) -> None:
    assert "\n" not in str(error)


@st.composite
def images(draw: st.DrawFn) -> NDArray[Any]:
    """(H, W), (H, W, 1) or (H, W, 3) of any type that the engine takes."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    shape = (height, width, *draw(st.sampled_from([(), (1,), (3,)])))
    dtype = draw(st.sampled_from(DTYPES))
    return draw(hnp.arrays(dtype, shape, elements={"allow_nan": False} if dtype is np.float32 else None))


@st.composite
def good_boxes(draw: st.DrawFn, height: int, width: int) -> NDArray[np.float64]:
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        x = sorted(draw(st.tuples(*[st.floats(0, width - 1)] * 2)))
        y = sorted(draw(st.tuples(*[st.floats(0, height - 1)] * 2)))
        boxes.append([x[0], y[0], x[1], y[1]])
    return np.array(boxes).reshape(-1, 4)


@QUICK
@given(images(), st.data())
def test_labels_have_the_images_shape_and_the_boxes_numbers(
    tiny: Engine, image: NDArray[Any], data: st.DataObject
) -> None:
    if image.dtype == np.float32 and not np.isfinite(image).all():
        with pytest.raises(InvalidArgument):
            tiny.encode(image)
        return
    boxes = data.draw(good_boxes(*image.shape[:2]))
    labels = tiny.segment(image, boxes)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.uint16
    assert labels.max(initial=0) <= len(boxes)


@QUICK
@given(images(), st.sampled_from(["rows", "columns", "both", "fortran", "read-only", "padded"]))
def test_the_memory_layout_does_not_matter(tiny: Engine, image: NDArray[Any], layout: str) -> None:
    assume(image.dtype != np.float32 or np.isfinite(image).all())
    plain = np.ascontiguousarray(image)
    views = {
        "rows": np.ascontiguousarray(image[::-1])[::-1],
        "columns": np.ascontiguousarray(image[:, ::-1])[:, ::-1],
        "both": np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1],
        "fortran": np.asfortranarray(image),
        "read-only": plain.copy(),
        "padded": np.concatenate([image, image], axis=1)[:, : image.shape[1]],
    }
    view = views[layout]
    view.setflags(write=layout != "read-only")
    np.testing.assert_array_equal(view, plain)
    assert tiny.encode(view).to_bytes() == tiny.encode(plain).to_bytes()


@QUICK
@given(st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES, COORDINATES), max_size=4))
def test_boxes_are_answered_or_refused(tiny: Engine, boxes: list[tuple[float, ...]]) -> None:
    image = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30)
    array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    x0, y0, x1, y1 = array.T
    with np.errstate(invalid="ignore"):
        inside = (x0 >= 0) & (x0 <= x1) & (x0 <= 29) & (x1 <= 30) & (y0 >= 0) & (y0 <= y1) & (y0 <= 39) & (y1 <= 40)
    if inside.all():
        assert tiny.segment(image, array).max(initial=0) <= len(boxes)
    else:
        with pytest.raises(InvalidArgument, match="box"):
            tiny.segment(image, array)


@QUICK
@given(st.lists(st.tuples(*[COORDINATES] * 6), max_size=3), st.integers(1, 6))
def test_3d_boxes_are_answered_or_refused(tiny: Engine, boxes: list[tuple[float, ...]], depth: int) -> None:
    volume = np.arange(depth * 12 * 16, dtype=np.int16).reshape(depth, 12, 16)
    try:
        labels = tiny.segment_volume(volume, np.array(boxes, dtype=np.float64).reshape(-1, 6))
    except InvalidArgument as error:
        expect_one_line(error)
        return
    assert labels.shape == volume.shape
    assert labels.max(initial=0) <= len(boxes)


@QUICK
@given(st.data())
def test_a_prompts_answer_does_not_depend_on_the_others(tiny: Engine, data: st.DataObject) -> None:
    embedding = tiny.encode(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32))
    count, points = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    coords = data.draw(hnp.arrays(np.float64, (count, points, 2), elements=st.floats(0, 23)))
    labels = data.draw(hnp.arrays(np.int64, (count, points), elements=st.integers(-1, 1)))
    assume((labels != -1).any(axis=1).all())
    together = tiny.predict(embedding, point_coords=coords, point_labels=labels, multimask_output=True)
    for n in range(count):
        kept = labels[n] != -1  # a point that is none has no effect
        alone = tiny.predict(
            embedding, point_coords=coords[n, kept], point_labels=labels[n, kept], multimask_output=True
        )
        np.testing.assert_array_equal(together.low_res_logits[n], alone.low_res_logits[0])
        np.testing.assert_array_equal(together.iou_predictions[n], alone.iou_predictions[0])


@QUICK
@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_any_array_is_taken_or_refused(tiny: Engine, array: NDArray[Any]) -> None:
    try:
        embedding = tiny.encode(array)
    except InvalidArgument as error:
        expect_one_line(error)
    else:
        assert array.dtype.newbyteorder("=") in [np.dtype(d) for d in DTYPES]
        assert array.ndim in (2, 3)
        assert embedding.original_size == array.shape[:2]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@QUICK
@given(ANYTHING, st.sampled_from(["box", "point_coords", "point_labels", "mask_input", "scribble"]))
def test_any_object_as_a_prompt_is_answered_or_refused(tiny: Engine, thing: object, name: str) -> None:
    embedding = tiny.encode(np.zeros((8, 8), np.uint8))
    arguments: dict[str, Any] = {"box": [1, 1, 5, 5]}
    if name.startswith("point"):
        arguments |= {"point_coords": [[2, 2]], "point_labels": [1]}
    try:
        tiny.predict(embedding, **(arguments | {name: thing}))
    except (InvalidArgument, Unsupported) as error:
        expect_one_line(error)


@QUICK
@given(st.data())
def test_a_changed_byte_of_a_saved_embedding_is_seen(tiny: Engine, data: st.DataObject) -> None:
    whole = tiny.encode(np.arange(64, dtype=np.uint8).reshape(8, 8)).to_bytes()
    assert ImageEmbedding.from_bytes(whole).to_bytes() == whole
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(whole)
    changed[at] ^= 1 << bit
    for damaged in (bytes(changed), whole[:at], whole + b"\0"):
        with pytest.raises(ModelError):
            ImageEmbedding.from_bytes(damaged)


@QUICK
@given(st.data(), st.sampled_from(["nii", "nii.gz", "npz", "png"]))
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str
) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / f"3D_a.{kind}"
    if kind == "npz":
        np.savez_compressed(path, imgs=values, spacing=np.ones(3))
    elif kind == "png":
        cv2 = pytest.importorskip("cv2")
        cv2.imwrite(str(path), values[0])
    else:
        header = np.zeros((), nifti_header.DTYPES[1])
        header["sizeof_hdr"], header["magic"], header["datatype"], header["vox_offset"] = 348, b"n+1", 2, 352
        header["dim"], header["pixdim"] = [3, 5, 4, 3, 1, 1, 1, 1], 1
        content = header.tobytes() + bytes(4) + values.tobytes()
        path.write_bytes(gzip.compress(content) if kind == "nii.gz" else content)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]) if data.draw(st.booleans()) else damaged)
    try:
        image = io.read(path)
    except (InvalidArgument, Unsupported) as error:
        expect_one_line(error)
    else:
        assert image.array.size > 0
