# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Prompts that the weights were not trained with are refused, unless they are allowed.

Predictor refuses them, too, but for points, which it answers as a session does (test_predictor.py).
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, ModelError, Predictor, Unsupported

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
BOX = (30, 20, 90, 70)  # around the object of conftest's image
POINTS: dict[str, Any] = {"point_coords": [[60, 45]], "point_labels": [1]}
KINDS = ("box", "points", "mask", "scribble")

MakeEngine = Callable[..., Engine]


@pytest.fixture
def engine_of(tmp_path: Path) -> MakeEngine:
    """The tiny bundle's engine with another `trained_prompts`; None: without the field."""

    def make(trained: object, mask_input: str = "logits") -> Engine:
        folder = Path(shutil.copytree(TINY, tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"))
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["prompt"]["mask_input"] = mask_input
        del manifest["trained_prompts"]
        if trained is not None:
            manifest["trained_prompts"] = trained
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return Engine(folder, cache_dir="none")

    return make


def arguments(kinds: tuple[str, ...], engine: Engine) -> dict[str, Any]:
    """The arguments of predict that make a prompt of these kinds on a 24 x 32 image."""
    made: dict[str, dict[str, Any]] = {
        "box": {"box": (3, 4, 20, 15)},
        "points": {"point_coords": [[5, 6], [0, 0]], "point_labels": [1, -1]},
        "mask": {"mask_input": np.ones(engine.info.mask_shape, np.float32)},
        "scribble": {"scribble": np.ones((24, 32), np.uint8)},
    }
    return {name: value for kind in kinds for name, value in made[kind].items()}


def test_litemedsam_knows_boxes_only(engine: Engine, embedding: ImageEmbedding, image: NDArray[np.uint8]) -> None:
    assert engine.info.trained_prompts == (("box",),)
    assert engine.info.trained_prompts_stated
    assert engine.info.accepts_points  # its graph takes them all the same
    logits = engine.predict(embedding, box=BOX).low_res_logits[0]
    predictor = Predictor(engine)
    predictor.set_image(image)
    refused = r"litemedsam were not trained with \(trained: box\); give a box alone"
    for prompt in (POINTS, {"box": BOX, **POINTS}, {"box": BOX, "mask_input": logits}, {"mask_input": logits}):
        with pytest.raises(Unsupported, match=refused):
            engine.predict(embedding, **prompt)
        if "mask_input" in prompt:
            with pytest.raises(Unsupported, match=refused):
                predictor.predict(**prompt)
        prediction = engine.predict(embedding, **prompt, multimask_output=True, allow_untrained=True)
        np.testing.assert_array_equal(
            predictor.predict(**prompt, allow_untrained=True)[2], prediction.low_res_logits[0]
        )


def test_one_line_says_what_to_do(engine: Engine, embedding: ImageEmbedding) -> None:
    with pytest.raises(Unsupported) as caught:
        engine.predict(embedding, BOX, [[60, 45]], [1])
    assert str(caught.value) == (
        "prompt 0: got box + points, which the weights of litemedsam were not trained with (trained: box); give a box "
        "alone, or set allow_untrained (--allow-untrained) for research"
    )


def test_a_bundle_that_claims_points_gives_what_allow_untrained_gives(
    engine: Engine, bundle: Path, embedding: ImageEmbedding, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / "claiming"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["trained_prompts"] = [["points"], ["box", "mask"]]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    claiming = Engine(folder, cache_bytes=0)
    assert claiming.info.model_hash == engine.info.model_hash  # it is about the models alone
    assert claiming.info.fingerprint == engine.info.fingerprint
    theirs = claiming.encode(image)
    mask = engine.predict(embedding, box=BOX).low_res_logits[0]
    for prompt in (POINTS, {"box": BOX, "mask_input": mask}):
        np.testing.assert_array_equal(
            engine.predict(embedding, **prompt, allow_untrained=True).low_res_logits,
            claiming.predict(theirs, **prompt).low_res_logits,
        )


SAM = [["box"], ["points"], ["box", "points"], ["box", "mask"], ["points", "mask"], ["box", "points", "mask"]]


@pytest.mark.parametrize(
    ("trained", "mask_input"),
    [
        (SAM, "logits"),
        ([["box"]], "logits"),
        ([["points"]], "logits"),
        (None, "logits"),
        ([["box", "points", "scribble"]], "scribble"),
        ([["scribble", "box"], ["box"]], "scribble"),
    ],
)
def test_every_combination_is_in_the_list_or_refused(
    engine_of: MakeEngine, trained: list[list[str]] | None, mask_input: str
) -> None:
    engine = engine_of(trained, mask_input)
    listed = {frozenset(kinds) for kinds in engine.info.trained_prompts}
    assert listed == {frozenset(kinds) for kinds in trained or [["box"]]}
    embedding = engine.encode(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32))
    # Of a model that takes scribbles, mask_input is one: it cannot be asked with a mask.
    kinds_taken = KINDS if mask_input == "logits" else ("box", "points", "scribble")
    for size in range(1, len(kinds_taken) + 1):
        for kinds in itertools.combinations(kinds_taken, size):
            prompt = arguments(kinds, engine)
            if frozenset(kinds) in listed:
                assert len(engine.predict(embedding, **prompt)) == 1
                engine.check_prompt(kinds)
                continue
            with pytest.raises(Unsupported, match="prompt 0: got") as refused:
                engine.predict(embedding, **prompt)
            with pytest.raises(Unsupported) as checked:
                engine.check_prompt(kinds)
            assert str(checked.value) == str(refused.value).replace("prompt 0", "prompt")
            if mask_input == "scribble" or "scribble" not in kinds:
                assert len(engine.predict(embedding, **prompt, allow_untrained=True)) == 1
                engine.check_prompt(kinds, allow_untrained=True)


def test_a_bundle_without_the_field_is_to_be_exported_again(engine_of: MakeEngine) -> None:
    engine = engine_of(None)
    assert engine.info.trained_prompts == (("box",),)
    assert not engine.info.trained_prompts_stated
    with pytest.raises(Unsupported, match=r"got points.*export the bundle again, give a box alone"):
        engine.check_prompt(["points"])


@pytest.mark.parametrize(
    "trained",
    ["box", [], ["box"], [[]], [["clicks"]], [["box", "box"]], [["box"], ["box"]], [["box", 1]], {"box": True}, [None]],
)
def test_a_malformed_list_is_refused(engine_of: MakeEngine, trained: object) -> None:
    with pytest.raises(ModelError, match="trained_prompts") as caught:
        engine_of(trained)
    assert "\n" not in str(caught.value)


def test_boxes_that_the_weights_do_not_know_are_refused_too(engine_of: MakeEngine) -> None:
    engine = engine_of([["points"]])
    image = np.zeros((24, 32), np.uint8)
    words = r"boxes: got box.*\(trained: points\)"
    with pytest.raises(Unsupported, match=words):
        engine.segment(image, [[1, 1, 9, 9]])
    with pytest.raises(Unsupported, match=words):
        engine.segment_volume(image[np.newaxis], [[1, 1, 0, 9, 9, 0]])


def test_kinds_are_checked(engine_of: MakeEngine) -> None:
    engine = engine_of(SAM)
    with pytest.raises(InvalidArgument, match='the kind "clicks"'):
        engine.check_prompt(["clicks"])
    with pytest.raises(InvalidArgument, match="got nothing"):
        engine.check_prompt([])
