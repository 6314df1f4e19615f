# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The picture of `segment --preview`: prompts where they were given, in the colors of their objects."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

pytest.importorskip("PIL", reason="Pillow is not in a thin installation")

from medsam_engine.cli.segment.picture import note_black_png
from medsam_engine.cli.steps import Steps
from medsam_engine.io import MedicalImage
from medsam_engine.io.label_colors import colors_of
from medsam_engine.io.labeled_boxes import BoxOptions, resolve_boxes
from medsam_engine.show.result_picture import marks_of, result_picture
from medsam_engine.windows import windowed

NOTHING: tuple[list[list[float]], list[int]] = ([], [])


def source(shape: tuple[int, ...]) -> MedicalImage:
    return MedicalImage(
        array=np.zeros(shape, np.uint8),
        spacing=(1.0, 1.0, 1.0),
        origin=(0.0, 0.0, 0.0),
        direction=np.eye(3),
        modality="",
        path=Path("scan"),
        positioned=False,
    )


def has(picture: NDArray[np.uint8], color: object) -> bool:
    return bool((picture == np.asarray(color)).all(axis=2).any())


def test_points_are_green_in_the_object_and_red_outside() -> None:
    image = source((100, 120))
    none = resolve_boxes(BoxOptions([], [], None, 0, 0), image)
    shown, labels = windowed(image.array, "none"), np.zeros((100, 120), np.uint8)
    both = result_picture(shown, labels, image, none, ([[30.0, 40.0], [80.0, 90.0]], [1, 0]))
    assert has(both, (0, 230, 0))
    assert has(both, (255, 40, 40))
    inside = result_picture(shown, labels, image, none, ([[30.0, 40.0]], [1]))
    assert has(inside, (0, 230, 0))
    assert not has(inside, (255, 40, 40))


def test_boxes_have_the_colors_of_their_labels() -> None:
    image = source((5, 40, 50))
    prompts = resolve_boxes(BoxOptions([[3, 4, 1, 20, 30, 2], [25, 4, 2, 40, 30, 3]], [], None, 0, 0), image)
    shown, labels = windowed(image.array, "none"), np.zeros((5, 40, 50), np.uint16)
    picture = result_picture(shown, labels, image, prompts, NOTHING)
    for label in (1, 2):
        assert has(picture, colors_of([label])[0])
    assert not has(picture, colors_of([3])[0])
    flat = marks_of(resolve_boxes(BoxOptions([[3, 4, 20, 30]], [], None, 0, 0), source((40, 50))), NOTHING)
    assert flat.boxes.tolist() == [[3, 4, 0, 20, 30, 0]]


@pytest.mark.parametrize(("name", "label", "noted"), [("m.png", 1, True), ("m.png", 0, False), ("m.nrrd", 1, False)])
def test_a_png_is_noted_where_it_looks_black(
    name: str, label: int, noted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    note_black_png(Steps(Console(stderr=True)), Path(name), np.full((3, 3), label, np.uint8))
    assert ("viewers show as black" in capsys.readouterr().err) is noted
