# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Points, beside at most one box, for weights that were not trained with them: answered as clicks of a session."""

from __future__ import annotations  # keeps ArrayLike short in help()

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument
from medsam_engine.session import Session

_OBJECT = "object"


def answers_natively(engine: Engine, kinds: Iterable[str]) -> bool:
    """Whether the weights were trained with a prompt of exactly these kinds of `Engine.check_prompt`."""
    return frozenset(kinds) in {frozenset(known) for known in engine.info.trained_prompts}


def session_of_image(
    engine: Engine,
    pixels: NDArray[np.generic],
    spacing: Sequence[float] | None = None,
    modality: str | None = None,
) -> Session:
    """A session for `clicked_mask` on an image as Engine.encode takes it, (H, W), (H, W, 1) or (H, W, 3); copied."""
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    return Session(engine, flat, spacing, window="none", modality=modality, undo_bytes=0, encode_ahead=False)


def clicked_mask(
    session: Session, box: ArrayLike | None, coords: NDArray[np.generic], labels: NDArray[np.generic]
) -> NDArray[np.bool_]:
    """The mask of one object.

    It begins with the box or, without one, with the first point on the object; the other points correct it in their
    order.

    Args:
        session: of session_of_image; its objects are removed.
        box: (4,) x0, y0, x1, y1 in pixels, ends inclusive; or None.
        coords: (P, 2) x, y in pixels.
        labels: (P,) 1 = object, 0 = background, -1 = not a point.

    Returns:
        (H, W) bool, the caller's own.

    Raises:
        InvalidArgument: there is neither a box nor a point on the object, or a coordinate is outside the image.
        Error: the errors of Session.add_box and Session.add_click.
    """
    clicks = [(xy, label == 1) for xy, label in zip(coords, labels, strict=True) if label != -1]
    if box is None:
        first = next((k for k, (_, positive) in enumerate(clicks) if positive), None)
        if first is None:
            raise InvalidArgument(
                f"points: got {len(clicks)} of label 0 and no box, expected one on the object to begin with; add a "
                "point of label 1 or a box"
            )
        clicks.insert(0, clicks.pop(first))
    session.reset()
    if box is not None:
        session.add_box(_OBJECT, box)
    for xy, positive in clicks:
        # A point beside an object that was not found has nothing to correct.
        if positive or session.objects[0].voxels:
            session.add_click(_OBJECT, xy, bool(positive))
    return session.mask(_OBJECT)
