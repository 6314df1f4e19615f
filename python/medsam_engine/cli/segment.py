# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine segment`: boxes or points on one image file, a label map out."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.logging import RichHandler

from medsam_engine import Engine, ImageEmbedding, find_bundle
from medsam_engine.cli.prompt_options import parse_boxes, parse_points
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.image_file import read_image
from medsam_engine.io.png_file import check_writable, write_label_map, write_rgb
from medsam_engine.overlay import draw_overlay


class _Steps:
    """Shows what is being done, and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        with self._console.status(what):
            yield
        self.note(f"{what:<24} {(time.perf_counter() - started) * 1000:8.1f} ms")

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _check_outputs(image: Path, outputs: list[Path]) -> None:
    seen = {image.resolve()}
    for output in outputs:
        check_writable(output)
        if output.resolve() in seen:
            raise InvalidArgument(
                f"output: got {output} twice, expected different files; nothing is overwritten by accident"
            )
        seen.add(output.resolve())


def _label_map(
    engine: Engine, embedding: ImageEmbedding, boxes: list[list[float]], points: tuple[list[list[float]], list[int]]
) -> NDArray[np.generic]:
    if not points[0]:
        return engine.segment(embedding, boxes)
    prediction = engine.predict(
        embedding, box=boxes[0] if boxes else None, point_coords=points[0], point_labels=points[1]
    )
    return prediction.mask(0).astype(np.uint8)


def segment(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG or TIFF, 8 or 16 bit, grey or RGB.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Label map to write, PNG: 0 background, k the k-th box.")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="Model folder; else $MEDSAM_ENGINE_BUNDLE, else the one that was fetched.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="One object: corner pixels, ends inclusive. Repeat for more."),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,LABEL", help="1 in the object, 0 outside. All points, and at most one box, are one object."
        ),
    ] = None,
    overlay: Annotated[Path | None, typer.Option(help="Picture of the result to write, PNG.")] = None,
    profile: Annotated[str | None, typer.Option(help="Rules of a published system; else the bundle's own.")] = None,
    threads: Annotated[int, typer.Option(help="Inference threads; 0 = all cores.")] = 0,
    device: Annotated[str, typer.Option(help="Inference device.")] = "CPU",
    precision: Annotated[str, typer.Option(help="Inference precision.")] = "f32",
) -> None:
    """Segment objects of one image."""
    boxes, points = parse_boxes(box or []), parse_points(point or [])
    if not boxes and not points[0]:
        raise InvalidArgument("prompt: got none, expected --box or --point; say where the object is")
    if points[0] and len(boxes) > 1:
        raise InvalidArgument(
            f"prompt: got points and {len(boxes)} boxes, expected at most one box beside points; "
            "run once for each object"
        )
    _check_outputs(image, [output] if overlay is None else [output, overlay])
    model = find_bundle(bundle)

    console = Console(stderr=True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console)])
    steps = _Steps(console)
    with steps.step("read image"):
        source = read_image(image)
    for note in source.notes:
        steps.note(f"note: {note}")
    with steps.step("load model"):
        engine = Engine(model, device=device, precision=precision, threads=threads, profile=profile)
    with steps.step("encode image"):
        embedding = engine.encode(source.pixels)
    with steps.step("decode prompts"):
        labels = _label_map(engine, embedding, boxes, points)
    with steps.step("write"):
        bits = write_label_map(output, labels)
        if overlay is not None:
            write_rgb(overlay, draw_overlay(source.pixels, labels))
    _report(steps, labels, max(1, len(boxes)), f"{output} ({bits}-bit PNG, {labels.shape[1]}x{labels.shape[0]})")


def _report(steps: _Steps, labels: NDArray[np.generic], count: int, written: str) -> None:
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    for k, area in enumerate(areas[:20], start=1):
        warning = "   nothing found" if area == 0 else ""
        steps.note(f"label {k:<5} {area:>10} pixels{warning}")
    if count > 20:
        empty = int((areas == 0).sum())
        steps.note(f"... {count} labels in all, {empty} of them empty")
    steps.note(f"wrote {written}")
