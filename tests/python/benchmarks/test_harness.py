# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the comparison concludes from what it measured."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="the baselines resize with OpenCV")

from benchmarks.compare.baselines.pipeline import box_256, box_of_labels, preprocess, segment_image, segment_volume
from benchmarks.compare.harness.agreement import compare_masks, dice_by_object
from benchmarks.compare.harness.bars import must_show
from benchmarks.compare.harness.cases import Case
from benchmarks.compare.harness.process import ProcessRun, run_process
from benchmarks.compare.harness.results import Results
from benchmarks.compare.harness.systems import Settings, all_systems
from benchmarks.compare.readme_plot import NAMES

CASES = {
    "one": Case("one", "one", Path("one.npz"), 1, 1),
    "brain": Case("brain", "brain", Path("brain.npz"), 3, 101),
    "brain-part": Case("brain-part", "part", Path("part.npz"), 1, 11, part_of="brain"),
}


def results(processes: dict[str, dict[str, list[float]]], stages: dict[str, dict[str, list[float]]]) -> Results:
    runs = {
        case: {key: [ProcessRun(t, t, 300.0) for t in times] for key, times in systems.items()}
        for case, systems in processes.items()
    }
    titles = {key: key for key in ("ours", "ours-f32", "d", "a")}
    return Results("test", {}, {}, {}, titles, CASES, processes=runs, stages=stages)


def test_dice_counts_every_object_apart() -> None:
    ours = np.array([[1, 1, 2, 0]], np.uint16)
    theirs = np.array([[1, 0, 2, 3]], np.uint8)
    assert dice_by_object(ours, theirs, 4) == pytest.approx([2 / 3, 1.0, 0.0, 1.0])


def test_masks_that_differ_are_not_the_same(tmp_path: Path) -> None:
    labels = np.zeros((40, 40), np.uint16)
    labels[5:30, 5:30] = 1
    np.savez(tmp_path / "ours.npz", segs=labels)
    labels[5, 5:8] = 0
    np.savez(tmp_path / "theirs.npz", segs=labels)
    assert compare_masks(tmp_path / "ours.npz", tmp_path / "ours.npz", 1).same
    assert not compare_masks(tmp_path / "ours.npz", tmp_path / "theirs.npz", 1).same
    np.savez(tmp_path / "small.npz", segs=labels[:20])
    with pytest.raises(ValueError, match="same shape"):
        compare_masks(tmp_path / "ours.npz", tmp_path / "small.npz", 1)


def test_the_published_way_is_extrapolated_along_decodes_and_marked() -> None:
    # 2 s to start, 1 s a decode: 3 s for one, 13 s for eleven, 103 s for the volume's 101.
    r = results({"one": {"a": [3.0], "d": [1.0]}, "brain-part": {"a": [13.0], "d": [9.0]}}, {})
    figure = r.process("brain", "a")
    assert figure is not None
    assert figure.median == pytest.approx(103.0)
    assert figure.extrapolated
    assert r.process("brain", "d") is None, "a system with a cache is never extrapolated"


def test_a_bar_is_met_by_the_ratio_of_medians_only() -> None:
    r = results({"one": {"ours": [1.0, 1.0, 9.0], "d": [1.9, 1.9, 1.9]}}, {"prompt": {"ours": [0.02], "d": [0.03]}})
    bars = must_show(r, "f32")
    assert bars[0].met is True
    assert bars[0].measured.startswith("1.90x")
    assert bars[1].met is None, "not measured"
    prompt = next(bar for bar in bars if bar.what.startswith("next prompt") and "(d)" in bar.required)
    assert prompt.met is False


def test_a_batch_is_counted_by_the_prompt() -> None:
    figure = results({}, {"batch": {"ours": [1.6]}}).stage("batch", "ours")
    assert figure is not None
    assert figure.median == pytest.approx(0.1)


def test_a_process_that_fails_says_what_it_said() -> None:
    assert run_process(["sh", "-c", "exit 0"], {}).peak_rss_mb > 0
    with pytest.raises(RuntimeError, match="status 3\nbroken"):
        run_process(["sh", "-c", "echo broken; exit 3"], {})


class _Everything:
    """A model whose mask is its box, and which counts."""

    def __init__(self) -> None:
        self.encoded = 0
        self.boxes: list[list[float]] = []

    def encode(self, image: np.ndarray) -> int:
        assert image.shape == (1, 3, 256, 256)
        self.encoded += 1
        return self.encoded

    def decode(
        self, embedding: int, box: np.ndarray, new_size: tuple[int, int], original_size: tuple[int, int]
    ) -> np.ndarray:
        del embedding, new_size
        self.boxes.append(box[0].tolist())
        mask = np.zeros(original_size, np.bool_)
        x0, y0, x1, y1 = (int(v) for v in box[0])
        mask[y0:y1, x0:x1] = True
        return mask


def test_the_baseline_walks_a_volume_as_the_published_script_does() -> None:
    volume = np.zeros((6, 256, 256), np.uint8)
    boxes = np.array([[100, 100, 1, 120, 120, 5]])
    model = _Everything()
    segs = segment_volume(model, volume, boxes, reuse_embeddings=False)
    assert model.encoded == 5
    # The middle first, up, then down from the middle again; a mask's last pixel is 119, each box 3 larger.
    middle, up, top, down, bottom = model.boxes
    assert middle == [100, 100, 120, 120]
    assert up == down == [97, 97, 122, 122]
    assert top == bottom == [94, 94, 124, 124]
    assert [int(z) for z in np.flatnonzero(segs.any(axis=(1, 2)))] == [1, 2, 3, 4, 5]


def test_a_second_object_needs_no_new_embedding_where_they_are_kept() -> None:
    volume = np.zeros((6, 256, 256), np.uint8)
    boxes = np.array([[100, 100, 1, 120, 120, 5], [10, 10, 2, 20, 20, 4]])
    kept, anew = _Everything(), _Everything()
    assert (segment_volume(kept, volume, boxes, True) == segment_volume(anew, volume, boxes, False)).all()
    assert (kept.encoded, anew.encoded) == (5, 8)


class _Batches(_Everything):
    """The same, several at once, which it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def encode_all(self, images: Iterable[np.ndarray]) -> list[int]:
        made = [self.encode(image) for image in images]
        self.batches.append(len(made))
        return made

    def decode_all(
        self, embedding: int, boxes: list[np.ndarray], new_size: tuple[int, int], original_size: tuple[int, int]
    ) -> list[np.ndarray]:
        self.batches.append(len(boxes))
        return [self.decode(embedding, box, new_size, original_size) for box in boxes]


def test_what_runs_several_at_once_makes_the_same_masks() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    boxes = np.array([[10, 10, 40, 40], [30, 30, 60, 60]])
    one, many = _Everything(), _Batches()
    assert (segment_image(one, image, boxes) == segment_image(many, image, boxes)).all()
    assert one.boxes == many.boxes
    assert many.batches == [2]
    volume = np.zeros((6, 256, 256), np.uint8)
    boxes = np.array([[100, 100, 3, 120, 120, 7], [10, 10, 0, 20, 20, 1]])
    one, many = _Everything(), _Batches()
    assert (segment_volume(one, volume, boxes, True) == segment_volume(many, volume, boxes, True)).all()
    assert many.batches == [5], "the slices of the boxes, each once"
    assert (one.encoded, many.encoded) == (5, 5)
    anew = _Batches()
    segment_volume(anew, volume, boxes, False)
    assert anew.batches == [], "the published way encodes for each object"


def test_every_system_has_a_name_and_a_module(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, "auto", 0)
    systems = all_systems(settings)
    assert list(systems) == list(NAMES)
    for system in systems.values():
        for words in (system.folder(tmp_path, tmp_path), system.stages(tmp_path)):
            modules = [words[i + 1] for i, word in enumerate(words) if word == "-m"]
            assert all(importlib.util.find_spec(str(module)) for module in modules)


def test_pixels_and_boxes_go_into_the_frame_of_256() -> None:
    pixels, size = preprocess(np.full((100, 200, 3), 7, np.uint8) * np.arange(200, dtype=np.uint8)[:, np.newaxis])
    assert size == (128, 256)
    assert pixels[..., 128:, :].max() == 0
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)
    assert box_256(np.array([10, 20, 199, 99]), (100, 200)).tolist() == [[12, 25, 254, 126]]
    assert box_of_labels(np.zeros((100, 200), np.uint8)) is None


def test_a_report_does_not_say_where_the_machine_keeps_its_files(tmp_path: Path) -> None:
    case = Case("one", "one", tmp_path / "cases" / "one.npz", 1, 1)
    Results("test", {}, {}, {}, {}, {"one": case}).write(tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert '"file": "one.npz"' in text
    assert str(tmp_path) not in text
