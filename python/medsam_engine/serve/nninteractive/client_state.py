# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What belongs to one lease: the client's image, what it has drawn, and prompts that wait for /predict.

All but the attributes is used on the worker's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.serve.log import log_event
from medsam_engine.serve.nninteractive import interactions
from medsam_engine.serve.nninteractive.drawing import Change, Drawing
from medsam_engine.serve.nninteractive.geometry import Region, Shape, whole

Prompt = Callable[[Drawing], None]
MaskPrompt = Callable[..., None]

_AIR = -500  # a volume with lower values is a CT in Hounsfield units


@dataclass(frozen=True)
class ClientOptions:
    """What the server was started with.

    Attributes:
        window: of every image; None = by its values.
        modality: of every image; None = CT where the values say so, else unknown.
        seconds: how long an interaction may begin further planes.
        embedding_bytes: for the encoded planes of a client's image.
    """

    window: str | None = None
    modality: str | None = None
    seconds: float = 20.0
    embedding_bytes: int = 512 << 20


class ClientState:
    """One client's image and drawing.

    Attributes:
        image_bytes: of the image as it was sent.
        propagates: the client's switch "auto-zoom".
        shape: of the image; None before there is one.
    """

    def __init__(self, engine: Engine, options: ClientOptions) -> None:
        self._engine, self._options = engine, options
        self.image_bytes = 0
        self.propagates = True
        self._drawing: Drawing | None = None
        self._dtype: np.dtype[np.generic] = np.dtype(np.uint8)
        self._waiting: list[Prompt] = []

    @property
    def shape(self) -> Shape | None:
        """Of the image."""
        return None if self._drawing is None else self._drawing.shape

    def end(self) -> None:
        """Lets the image go."""
        self._drawing, self.image_bytes, self._waiting = None, 0, []

    def set_image(self, image: NDArray[np.generic], spacing: tuple[float, float, float]) -> tuple[int, ...]:
        """Takes an image (1, A0, A1, A2) with its spacing in mm per axis; what was drawn is dropped. Its shape.

        InvalidArgument: more channels, no voxels, or values that are not finite.
        """
        self.end()
        if image.ndim != 4 or image.shape[0] != 1:
            raise InvalidArgument(
                f"image: got shape {image.shape}, expected one channel (1, A0, A1, A2); for color, use the page"
            )
        values = image[0]
        if values.dtype == np.bool_:
            values = values.astype(np.uint8)
        if not values.size:
            raise InvalidArgument(f"image: got shape {image.shape}, expected at least one voxel")
        window, modality = window_for(values, self._options)
        session = Session(
            self._engine, values, spacing[::-1], window, modality, embedding_bytes=self._options.embedding_bytes
        )
        shape = (values.shape[0], values.shape[1], values.shape[2])
        self._drawing = Drawing(session, shape, spacing, seconds=self._options.seconds)
        self.image_bytes = image.nbytes
        log_event(
            "image",
            shape="x".join(map(str, shape)),
            dtype=str(image.dtype),
            window=window or "by modality",
            modality=modality or "unknown",
            axis=self._drawing.through_axis,
        )
        return image.shape

    def set_target_buffer(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        """The client has an empty mask of this shape and type. InvalidArgument: not the image's shape."""
        drawing = self.drawing
        if shape != drawing.shape:
            raise InvalidArgument(f"target buffer: got shape {shape}, expected the image's {drawing.shape}")
        self._dtype = dtype
        drawing.emptied_by_client()

    def reset(self) -> None:
        """Nothing is drawn."""
        self._waiting = []
        if self._drawing is not None:
            self._drawing.reset()

    def prompt(self, prompt: Prompt, run: bool) -> Change:
        """Answers a prompt, or keeps it for predict()."""
        drawing = self.drawing
        if not run:
            self._waiting.append(prompt)
            return Change(False)
        prompts, self._waiting = [*self._waiting, prompt], []
        return self._answered(drawing, prompts)

    def predict(self) -> Change:
        """Answers what was kept."""
        drawing = self.drawing
        prompts, self._waiting = self._waiting, []
        return self._answered(drawing, prompts) if prompts else Change(False)

    def undo(self) -> Change:
        """Takes back the last prompt, one that was kept first."""
        drawing = self.drawing
        if self._waiting:
            self._waiting.pop()
            return Change(True)
        return Change(True, drawing.change()) if drawing.undo() else Change(False)

    def begin_with(self, mask: NDArray[np.generic], run: bool) -> Change:
        """The object is this mask, which the client has; with `run` the model is asked about it."""
        drawing = self.drawing
        if mask.shape != drawing.shape:
            raise InvalidArgument(f"initial segmentation: got shape {mask.shape}, expected the image's {drawing.shape}")
        self._waiting = []
        drawn = positive(mask)
        drawing.begin_with(drawn)
        return self._answered(drawing, [interactions.refine]) if run and drawn.any() else Change(False)

    def mask_prompt(
        self, prompt: MaskPrompt, mask: NDArray[np.generic], pairs: list[list[float]] | None, run: bool
    ) -> Change:
        """As prompt(), for a drawn mask that lies in the box `pairs`; None = it is of the image's shape."""
        drawn, at = _cut(mask, pairs, self.drawing.shape)
        return self.prompt(partial(prompt, mask=drawn, at=at), run)

    def contents(self, region: Region) -> NDArray[np.generic]:
        """The object's voxels of a region, 0 and 1, in the type of the client's mask."""
        return self.drawing.shown[region.slices].astype(self._dtype)

    @property
    def drawing(self) -> Drawing:
        """InvalidArgument: there is no image yet."""
        if self._drawing is None:
            raise InvalidArgument("image: got none, expected one; send it with /set_image first")
        self._drawing.propagates = self.propagates
        return self._drawing

    def _answered(self, drawing: Drawing, prompts: list[Prompt]) -> Change:
        try:
            for prompt in prompts:
                with drawing.interaction():
                    prompt(drawing)
        finally:
            changed = drawing.change()
        return Change(True, changed)


def positive(mask: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a mask of whole numbers is above 0."""
    found: NDArray[np.bool_] = np.greater(mask, 0)
    return found


def _cut(mask: NDArray[np.generic], pairs: list[list[float]] | None, shape: Shape) -> tuple[NDArray[np.bool_], Region]:
    """A drawn mask and where it lies, cut to the image. InvalidArgument: its box is of another size."""
    if pairs is None:
        pairs = [[0, size] for size in shape]
    low, high = ([round(pair[end]) for pair in pairs] for end in (0, 1))
    sizes = tuple(h - a for a, h in zip(low, high, strict=True))
    if mask.shape != sizes:
        raise InvalidArgument(f"interaction: got a mask of shape {mask.shape}, expected that of its box, {sizes}")
    inside = Region((low[0], low[1], low[2]), (high[0], high[1], high[2])).within(shape)
    if inside is None:  # nothing that could be drawn
        return np.zeros(shape, np.bool_), whole(shape)
    a, b, c = (slice(i - o, j - o) for i, j, o in zip(inside.low, inside.high, low, strict=True))
    return positive(mask[a, b, c]), inside


def window_for(values: NDArray[np.generic], options: ClientOptions) -> tuple[str | None, str | None]:
    """The window and the modality of an image of which only the values are known (windows.apply_window's words).

    The challenge's rules: 8-bit values as they are, air means CT, everything else percentiles, as MR has them.
    """
    if options.window is not None or options.modality is not None:
        return options.window, options.modality
    if values.dtype == np.uint8:
        return ("none" if values.max() > 1 else "full"), None
    if values.dtype.kind in "if" and float(values.min()) <= _AIR:
        return None, "CT"
    return "percentile", None
