# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The jobs of benchmarks.soak: each takes its inputs from a fixed set and returns what it answered, as digests.

A job's answer has a key that names all of its inputs; engines that must agree to the bit share keys.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Cancelled, Engine, FolderRun, InvalidArgument, ModelError, load_embedding, save_embedding

SIZES = ((96, 128), (256, 256), (301, 517), (600, 400))
IMAGES = 12
VOLUMES = 2
Answers = dict[str, str]


def digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 over shapes, types and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def make_image(seed: int) -> NDArray[np.uint8]:
    """Bright ellipses on noise, (H, W, 3) uint8, one of SIZES."""
    random_bits = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    y, x = np.mgrid[:height, :width]
    image = random_bits.integers(0, 60, (height, width, 3))
    for _ in range(3):
        cy, cx = random_bits.uniform(0.2, 0.8, 2) * (height, width)
        ellipse = ((x - cx) / (width / 8)) ** 2 + ((y - cy) / (height / 8)) ** 2 < 1
        image[ellipse] += 120
    return image.astype(np.uint8)


def make_boxes(seed: int, image: NDArray[np.uint8], count: int) -> NDArray[np.float64]:
    """(count, 4) x0, y0, x1, y1 inside the image."""
    random_bits = np.random.default_rng(1000 + seed)
    height, width = image.shape[:2]
    low = random_bits.uniform(0, 0.5, (count, 2)) * (width, height)
    high = low + random_bits.uniform(0.1, 0.45, (count, 2)) * (width, height)
    return np.hstack([low, high])


class Workload:
    """The inputs, and the engines that live as long as the run."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.bundle, self.folder = bundle, folder
        self.cache_dir = folder / "cache"
        self.images = [make_image(i) for i in range(IMAGES)]
        self.boxes = [make_boxes(i, image, 1 + i % 5) for i, image in enumerate(self.images)]
        ramp = np.linspace(0.6, 1.0, 6)[:, np.newaxis, np.newaxis]
        self.volumes = [(self.images[i][..., 0] * ramp).astype(np.uint8) for i in range(VOLUMES)]
        self.boxes3d = np.array([[30, 20, 1, 90, 70, 4], [10, 40, 0, 60, 90, 5]], dtype=np.float64)
        self.main = self.engine()
        embedding_mib = int(np.prod(self.main.info.embedding_shape)) * 4
        # Three embeddings: an image is mostly out again before it comes back.
        self.cramped = self.engine(cache_bytes=3 * embedding_mib)
        self.storing = self.engine(
            cache_bytes=0,
            embedding_storage="f16",
            embedding_store=folder / "store",
            embedding_store_bytes=5 * embedding_mib // 2,
        )
        self.others: list[Engine] = []
        for i in range(3):
            (folder / "cases").mkdir(exist_ok=True)
            np.savez_compressed(folder / "cases" / f"2DBox_{i}.npz", imgs=self.images[i], boxes=self.boxes[i])

    def engine(self, **options: Any) -> Engine:
        """An engine of one inference thread on this run's own cache folder."""
        return Engine(self.bundle, threads=1, cache_dir=self.cache_dir, **options)

    def described(self) -> dict[str, Any]:
        """What ran."""
        info = self.main.info
        names = ("family", "profile", "precision", "backend", "device", "threads", "model_hash")
        return {name: getattr(info, name) for name in names}


def segment_2d(work: Workload, draw: random.Random) -> Answers:
    """Images through the engine with a roomy cache."""
    i = draw.randrange(IMAGES)
    return {f"image {i}": digest(work.main.segment(work.images[i], work.boxes[i]))}


def cache_pressure(work: Workload, draw: random.Random) -> Answers:
    """Images through a cache that holds three embeddings."""
    picks = [draw.randrange(IMAGES) for _ in range(3)]
    return {f"image {i}": digest(work.cramped.segment(work.images[i], work.boxes[i])) for i in picks}


def disk_store(work: Workload, draw: random.Random) -> Answers:
    """Embeddings as f16 through a store on disk that must drop files."""
    i = draw.randrange(IMAGES)
    return {f"image {i} f16": digest(work.storing.segment(work.images[i], work.boxes[i]))}


def prompts(work: Workload, draw: random.Random) -> Answers:
    """Points, multimask, and a mask fed back, on an embedding that was saved and read."""
    i = draw.randrange(IMAGES)
    save_embedding(work.main.encode(work.images[i]), work.folder / "saved")
    embedding = load_embedding(work.folder / "saved")
    height, width = work.images[i].shape[:2]
    points = np.array([[[width // 2, height // 2], [width // 4, height // 3]]], np.float64)
    first = work.main.predict(
        embedding, point_coords=points, point_labels=[[1, 0]], multimask_output=True, allow_untrained=True
    )
    second = work.main.predict(
        embedding,
        point_coords=points,
        point_labels=[[1, 1]],
        mask_input=first.low_res_logits[:, 0],
        allow_untrained=True,  # whatever the bundle's weights know: the soak looks at memory and sameness
    )
    return {
        f"points {i}": digest(first.low_res_logits, first.iou_predictions, first.masks),
        f"points and mask {i}": digest(second.low_res_logits),
    }


def volume(work: Workload, draw: random.Random) -> Answers:
    """A volume by propagation."""
    i = draw.randrange(VOLUMES)
    engine = draw.choice([work.main, work.cramped])
    boxes = work.boxes3d * ([1] * 6 if i == 0 else [2, 2, 1, 2, 2, 1])
    return {f"volume {i}": digest(engine.segment_volume(work.volumes[i], boxes))}


def cancelled_volume(work: Workload, draw: random.Random) -> Answers:
    """A volume that is given up half way, with an engine that goes on afterwards."""
    steps = draw.randrange(1, 4)
    count = 0

    def enough() -> bool:
        nonlocal count
        count += 1
        return count > steps

    work.cramped.clear_cache()
    try:
        work.cramped.segment_volume(work.volumes[0], work.boxes3d, cancelled=enough)
    except Cancelled:
        return {}
    raise AssertionError("a cancelled volume came to an end")


def new_engine(work: Workload, draw: random.Random) -> Answers:
    """One more engine beside the others, at most three of them; the oldest goes."""
    work.others.append(work.engine(profile=draw.choice(["clinical", "litemedsam"]), cache_bytes=0))
    if len(work.others) > 3:
        work.others.pop(0)
    engine, i = draw.choice(work.others), draw.randrange(IMAGES)
    key = f"image {i}" if engine.info.profile == "clinical" else f"image {i} {engine.info.profile}"
    return {key: digest(engine.segment(work.images[i], work.boxes[i]))}


def threads(work: Workload, draw: random.Random) -> Answers:
    """Four threads on one engine."""
    picks = draw.sample(range(IMAGES), 4)
    with ThreadPoolExecutor(4) as pool:
        masks = list(pool.map(lambda i: work.cramped.segment(work.images[i], work.boxes[i]), picks))
    return {f"image {i}": digest(mask) for i, mask in zip(picks, masks, strict=True)}


def folder_run(work: Workload, draw: random.Random) -> Answers:
    """A folder of cases, written anew."""
    del draw
    answers = work.folder / "answers"
    report = FolderRun(work.folder / "cases", answers, overwrite=True).run(work.main)
    if report.failed:
        raise AssertionError(f"{report.failed} cases failed")
    found = sorted(answers.glob("*.npz"))
    return {f"folder {path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def wrong_input(work: Workload, draw: random.Random) -> Answers:
    """Refusals leave nothing behind."""
    i = draw.randrange(IMAGES)
    refused = 0
    for call in (
        lambda: work.main.segment(work.images[i], [[-50.0, 0, 9, 9]]),
        lambda: work.main.segment(work.images[i], [[0, 0, float("nan"), 9]]),
        lambda: work.main.encode(np.full((16, 16), np.inf, np.float32)),
        lambda: load_embedding(work.folder / "cases" / "2DBox_0.npz"),
        lambda: Engine(work.folder / "absent"),
    ):
        try:
            call()
        except (InvalidArgument, ModelError):
            refused += 1
    if refused != 5:
        raise AssertionError(f"{5 - refused} wrong inputs were taken")
    return {}


JOBS: dict[str, Callable[[Workload, random.Random], Answers]] = {
    job.__name__: job
    for job in (
        segment_2d,
        cache_pressure,
        disk_store,
        prompts,
        volume,
        cancelled_volume,
        new_engine,
        threads,
        folder_run,
        wrong_input,
    )
}
