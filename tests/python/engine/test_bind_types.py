# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Embeddings and predictions: lifetime, ownership, and who may write."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, Prediction

HEIGHT, WIDTH = 96, 128  # conftest's image
BOX = (30, 20, 90, 70)  # around its object


def test_embedding_describes_itself(embedding: ImageEmbedding) -> None:
    assert embedding.original_size == (embedding.height, embedding.width) == (HEIGHT, WIDTH)
    assert embedding.array.shape == embedding.shape == (1, 256, 64, 64)
    assert embedding.array.dtype == np.float32
    assert embedding.nbytes >= embedding.array.nbytes
    assert len(embedding.fingerprint) >= 16
    assert f"{WIDTH}x{HEIGHT}" in repr(embedding)


def test_embedding_is_made_by_an_engine_only() -> None:
    with pytest.raises(TypeError):
        ImageEmbedding()


def test_views_outlive_everything(bundle: Path, image: NDArray[np.uint8]) -> None:
    engine = Engine(bundle)
    embedding = engine.encode(image)
    prediction = engine.predict(embedding, box=BOX)
    features, logits, iou = embedding.array, prediction.low_res_logits, prediction.iou_predictions
    copies = features.copy(), logits.copy(), iou.copy()
    mask = prediction.mask(0)
    del engine
    gc.collect()
    # Without its engine a prediction still makes masks.
    np.testing.assert_array_equal(prediction.mask(0), mask)
    del embedding, prediction
    gc.collect()
    filler = [np.full_like(features, np.nan) for _ in range(4)]  # takes freed memory, if any was
    for view, copy in zip((features, logits, iou), copies, strict=True):
        np.testing.assert_array_equal(view, copy)
    assert len(filler) == 4


def test_views_keep_their_owner_and_let_it_go(engine: Engine, image: NDArray[np.uint8]) -> None:
    embedding = engine.encode(image)
    before = sys.getrefcount(embedding)
    view = embedding.array
    assert sys.getrefcount(embedding) == before + 1
    del view
    assert sys.getrefcount(embedding) == before


def test_an_engine_goes_when_it_is_let_go(bundle: Path) -> None:
    engine = Engine(bundle)
    gone = weakref.ref(engine)
    del engine
    gc.collect()
    assert gone() is None


def test_views_are_read_only(engine: Engine, embedding: ImageEmbedding) -> None:
    prediction = engine.predict(embedding, box=BOX)
    for view in (embedding.array, prediction.low_res_logits, prediction.iou_predictions):
        assert not view.flags.writeable
        assert not view.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.setflags(write=True)


def test_masks_belong_to_the_caller(engine: Engine, embedding: ImageEmbedding) -> None:
    prediction = engine.predict(embedding, box=[BOX, (0, 0, 20, 20)], multimask_output=True)
    masks = prediction.masks
    assert masks.shape == (2, 3, HEIGHT, WIDTH)
    assert masks.dtype == np.bool_
    assert set(np.unique(masks.view(np.uint8))) <= {0, 1}
    for n, per_prompt in enumerate(prediction):
        np.testing.assert_array_equal(per_prompt, masks[n])
        for m in range(3):
            np.testing.assert_array_equal(prediction.mask(n, m), masks[n, m])
    kept = masks.copy()
    masks[...] = True
    np.testing.assert_array_equal(prediction.masks, kept)


@pytest.mark.parametrize(("n", "m"), [(1, 0), (-1, 0), (0, 1), (0, -1), (2**40, 0)])
def test_no_such_mask(engine: Engine, embedding: ImageEmbedding, n: int, m: int) -> None:
    prediction = engine.predict(embedding, box=BOX)
    with pytest.raises(InvalidArgument, match="mask"):
        prediction.mask(n, m)


def test_prediction_describes_itself(engine: Engine, embedding: ImageEmbedding) -> None:
    prediction = engine.predict(embedding, box=BOX)
    assert isinstance(prediction, Prediction)
    assert prediction.original_size == (HEIGHT, WIDTH)
    assert f"{WIDTH}x{HEIGHT}" in repr(prediction)
    assert 0 <= prediction.iou_predictions[0, 0] <= 1.2


OUT_OF_MEMORY = """
import resource, sys
import numpy as np
from medsam_engine import Engine, OutOfMemory
engine = Engine(sys.argv[1])
embedding = engine.encode(np.zeros((3000, 3000), np.uint8))
prediction = engine.predict(embedding, box=[[0, 0, 9, 9]] * 20)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20, resource.RLIM_INFINITY))
try:
    prediction.masks
except OutOfMemory as error:
    assert isinstance(error, MemoryError) and "171 MiB" in str(error), error
    sys.exit(0)
sys.exit(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc to set the limit")
def test_masks_that_do_not_fit(bundle: Path) -> None:
    import resource  # which Windows has not

    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY, "the test lowers this limit"
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(bundle)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
