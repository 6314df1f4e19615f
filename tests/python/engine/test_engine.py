# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The Engine as Python sees it: results, options, cancellation, threads, fork, pickling."""

import copy
import ctypes
import functools
import hashlib
import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import medsam_engine
from medsam_engine import BackendError, Cancelled, Engine, ImageEmbedding, InvalidArgument, ModelError, Unsupported

HEIGHT, WIDTH = 96, 128  # conftest's image
BOX = (30, 20, 90, 70)  # around its object
C_LIBRARY = "ucrtbase" if sys.platform == "win32" else None  # of the process


def test_the_object_is_found(engine: Engine, image: NDArray[np.uint8]) -> None:
    mask = engine.segment(image, [BOX]) == 1
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth = ((x - 60) / 28) ** 2 + ((y - 45) / 23) ** 2 < 1
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.95


@pytest.mark.parametrize(("profile", "order"), [(None, [1, 2, 3]), ("clinical", [2, 1, 3])])
def test_segment_is_predict_painted_in_order(
    bundle: Path, image: NDArray[np.uint8], profile: str | None, order: list[int]
) -> None:
    engine = Engine(bundle, profile=profile)
    embedding = engine.encode(image)
    boxes = [BOX, (50, 30, 110, 90), (0, 0, 40, 20)]  # the second is the largest: clinical paints it first
    expected = np.zeros((HEIGHT, WIDTH), np.uint16)
    for label in order:
        expected[engine.predict(embedding, box=boxes[label - 1]).mask(0)] = label
    for source in (image, embedding):
        labels = engine.segment(source, boxes)
        assert labels.dtype == np.uint16
        assert labels.flags.writeable
        np.testing.assert_array_equal(labels, expected)


def test_no_boxes_no_labels(engine: Engine, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    assert not engine.segment(image, []).any()
    prediction = engine.predict(embedding, box=np.empty((0, 4)))
    assert len(prediction) == 0
    assert prediction.masks.shape == (0, 1, HEIGHT, WIDTH)
    assert prediction.iou_predictions.shape == (0, 1)
    assert list(prediction) == []


def test_bad_boxes_cost_nothing(engine: Engine, image: NDArray[np.uint8]) -> None:
    with pytest.raises(InvalidArgument, match="box"):
        engine.segment(image, [BOX, (0, 0, WIDTH + 1, 5)])


def test_a_prompt_does_not_depend_on_its_neighbors(engine: Engine, embedding: ImageEmbedding) -> None:
    boxes = [(i, i, i + 40, i + 40) for i in range(0, 50, 10)]
    together = engine.predict(embedding, box=boxes)
    for n, box in enumerate(boxes):
        alone = engine.predict(embedding, box=box)
        np.testing.assert_allclose(together.low_res_logits[n], alone.low_res_logits[0], atol=1e-3)


def test_box_ends_at_the_size_are_clamped(engine: Engine, embedding: ImageEmbedding) -> None:
    inside = engine.predict(embedding, box=(0, 0, WIDTH - 1, HEIGHT - 1))
    at_size = engine.predict(embedding, box=(0, 0, WIDTH, HEIGHT))
    np.testing.assert_array_equal(inside.low_res_logits, at_size.low_res_logits)


def test_points_and_a_mask_change_the_answer(engine: Engine, embedding: ImageEmbedding) -> None:
    box = engine.predict(embedding, box=BOX).low_res_logits
    click: dict[str, Any] = {"point_coords": [[60, 45]], "point_labels": [1], "allow_untrained": True}
    point = engine.predict(embedding, **click).low_res_logits
    both = engine.predict(embedding, BOX, **click).low_res_logits
    refined = engine.predict(embedding, box=BOX, mask_input=box[0], allow_untrained=True).low_res_logits
    assert box.shape == point.shape == both.shape == refined.shape
    for other in (point, both, refined):
        assert np.abs(other - box).max() > 0.1


@pytest.mark.needs("openvino")
def test_info(engine: Engine, bundle: Path) -> None:
    info = engine.info
    assert (info.family, info.profile, info.precision) == ("litemedsam", "clinical", "f32")
    assert Engine(bundle, profile=None).info.profile == "litemedsam"
    assert info.backend.startswith("OpenVINO ")
    assert info.embedding_shape == (1, 256, 64, 64)
    assert info.mask_shape == (256, 256)
    assert info.accepts_points
    assert info.accepts_mask
    assert info.family in repr(engine)


def test_profile_is_a_choice(bundle: Path) -> None:
    assert Engine(bundle, profile="clinical").info.profile == "clinical"
    assert set(medsam_engine.profile_names()) >= {"clinical", "litemedsam"}
    with pytest.raises(InvalidArgument, match="profile"):
        Engine(bundle, profile="nobody")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "TPU"}, Unsupported),
        ({"precision": "f7"}, (InvalidArgument, Unsupported)),
        ({"threads": -1}, InvalidArgument),
    ],
)
def test_bad_options(bundle: Path, options: dict[str, str | int], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        Engine(bundle, **options)  # type: ignore[arg-type]


@pytest.mark.needs("openvino")
def test_bad_bundles(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json"):
        Engine(tmp_path)
    corrupt = tmp_path / "corrupt"
    shutil.copytree(bundle, corrupt)
    with (corrupt / "decoder.onnx").open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match=r"decoder\.onnx"):
        Engine(corrupt, precision="f32/f32", verify=True)  # the graphs: what is not run is not read


@pytest.mark.needs("openvino")
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"not an ONNX file", ModelError, r"encoder\.onnx: got bytes that are no protobuf message"),
        (b"\x0a\x03abc", BackendError, r"OpenVINO.*encoder\.onnx"),  # a message, whose field is not a model's
    ],
)
def test_a_model_the_backend_cannot_read(
    content: bytes, error: type[Exception], message: str, bundle: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "encoder.onnx").write_bytes(content)
    manifest = json.loads((broken / "manifest.json").read_text())
    manifest["models"]["encoder"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (broken / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(error, match=message):
        Engine(broken)


def test_a_cache_folder_that_cannot_be_written_is_reported(
    bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with caplog.at_level(logging.WARNING, "medsam_engine"):
        Engine(bundle, cache_dir=blocked)
    assert any("cache" in record.message for record in caplog.records)


def test_embedding_of_another_profile_or_model_is_refused(bundle: Path, embedding: ImageEmbedding) -> None:
    # Prompt and mask rules may differ; the fingerprint names encoder and image rules, which come from the bundle.
    clinical = Engine(bundle, profile="clinical")
    assert clinical.info.fingerprint == embedding.fingerprint
    assert len(clinical.predict(embedding, box=BOX)) == 1


def test_cancelled_between_batches(engine: Engine, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    asked: list[int] = []

    def second_time() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        engine.predict(embedding, box=[BOX] * 40, cancelled=second_time)
    assert len(asked) == 2
    with pytest.raises(Cancelled):
        engine.segment(image, [BOX], cancelled=lambda: True)
    assert len(engine.predict(embedding, box=BOX, cancelled=lambda: False)) == 1


def test_an_error_of_the_callback_is_the_callers(engine: Engine, embedding: ImageEmbedding) -> None:
    def broken() -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        engine.predict(embedding, box=BOX, cancelled=broken)


def test_ctrl_c_between_batches(engine: Engine, embedding: ImageEmbedding) -> None:
    # A C function sends the signal, so that no Python code runs, and no handler with it, before the next batch.
    interrupt = functools.partial(ctypes.CDLL(C_LIBRARY)["raise"], int(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        engine.predict(embedding, box=[BOX] * 40, cancelled=interrupt)
    assert len(engine.predict(embedding, box=BOX)) == 1


def test_threads_give_what_one_gives(engine: Engine, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    boxes = [(5 * i, 3 * i, 5 * i + 50, 3 * i + 50) for i in range(8)]
    expected = [engine.predict(embedding, box=box).masks for box in boxes]
    expected_embedding = embedding.array

    def work(box: tuple[int, int, int, int]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        return engine.predict(embedding, box=box).masks, engine.encode(image).array

    with ThreadPoolExecutor(4) as pool:
        for (masks, array), alone in zip(pool.map(work, boxes), expected, strict=True):
            np.testing.assert_array_equal(masks, alone)
            np.testing.assert_array_equal(array, expected_embedding)


FORK = """
import os, sys
import numpy as np
from medsam_engine import Engine, Unsupported
engine = Engine(sys.argv[1])
image = np.zeros((32, 32), np.uint8)
embedding = engine.encode(image)
child = os.fork()
if child == 0:
    refused = 0
    for call in (lambda: engine.encode(image), lambda: engine.predict(embedding, box=[1, 1, 9, 9]),
                 lambda: engine.segment(image, [[1, 1, 9, 9]]),
                 lambda: engine.segment_volume(image[None], [[1, 1, 0, 9, 9, 0]]),
                 engine.cache_stats, engine.clear_cache):
        try:
            call()
        except Unsupported as error:
            refused += "fork" in str(error)
    readable = engine.info.family != "" and embedding.array.size > 0 and len(embedding.to_bytes()) > 0
    del engine, embedding  # destroying what was inherited must neither hang nor crash
    # As multiprocessing ends its children: with exit() OpenVINO's static destructors can wait for ever for threads that
    # the child does not have (seen: tbb::detail::r1::observe in a loop of sched_yield).
    os._exit(0 if refused == 6 and readable else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert engine.segment(image, [[1, 1, 9, 9]]).shape == (32, 32)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_use_after_fork_is_an_error_and_not_a_hang(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(bundle)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


FORK_LATER = """
import os, signal, sys
import numpy as np
from medsam_engine import Engine, Unsupported
image = np.zeros((32, 32), np.uint8)
Engine(sys.argv[1], threads=1, precision="f32/f32").segment(image, [[1, 1, 9, 9]])
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that hangs outlives the test otherwise
    try:
        Engine(sys.argv[1], threads=1, precision="f32/f32")
    except Unsupported as error:
        os._exit(0 if "forked" in str(error) and "spawn" in str(error) else 2)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
FORK_LATER_NATIVE = """
import os, signal, sys
import numpy as np
from medsam_engine import Engine
image, box = np.zeros((32, 32), np.uint8), [[1, 1, 9, 9]]
expected = Engine(sys.argv[1], precision="f32_fused/f32_fused").segment(image, box)  # it does not open OpenVINO
child = os.fork()
if child == 0:
    signal.alarm(60)
    found = Engine(sys.argv[1], precision="f32_fused/f32_fused").segment(image, box)
    os._exit(0 if np.array_equal(found, expected) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
FORK_FIRST = """
import os, sys
import numpy as np
from medsam_engine import Engine
child = os.fork()
if child == 0:
    os._exit(0 if Engine(sys.argv[1]).segment(np.zeros((32, 32), np.uint8), [[1, 1, 9, 9]]).shape == (32, 32) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.parametrize("code", [FORK_LATER, FORK_LATER_NATIVE, FORK_FIRST])
def test_an_engine_made_after_fork(bundle: Path, code: str) -> None:
    """Where the parent's last engine was destroyed, a child's own waited for ever for threads that it did not have."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_engine_does_not_pickle(engine: Engine) -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"create it in each process"):
            attempt(engine)


def test_import_is_light() -> None:
    code = "import sys, medsam_engine; print(sorted({'torch', 'openvino', 'PIL', 'typer', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
