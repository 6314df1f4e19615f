# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Scores a session under a simulated user: DSC and NSD after each interaction, the area under them, and the time.

The protocol follows the CVPR 2025 challenge "Foundation Models for Interactive 3D Biomedical Image Segmentation"
(github.com/JunMa11/CVPR-MedSegFMCompetition, CVPR25_iter_eval.py): a box, then clicks on the worst error. From there
are:

- the areas DSC-AUC and NSD-AUC: the trapezoidal rule over the scores after the clicks 1 to n, one apart, without the
  score after the box; so the most is n - 1, which is 4 with the challenge's 5 clicks;
- DSC and NSD "final": after the last click;
- a mask without an error gets no further click, and keeps its score;
- NSD is 0 where DSC is 0.2 or less, and the tolerance is 2 (see metrics.py).

It differs in the following: each object has a mask of its own, which no other object paints over, and is scored alone
(the threshold of NSD, too); a click in a volume lies in the slice with the most wrong voxels, at the place farthest
from the edge of the error within the slice, where the challenge takes the largest connected error in 3D; of several
such places, the first is taken, where the challenge draws one; only the answers are timed.
"""

from __future__ import annotations  # keeps NDArray short in help()

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medsam_engine.measure.metrics import SpacingOrder, score_case
from medsam_engine.measure.simulated_user import Click, Start, middle_slice, next_click, tight_box
from medsam_engine.session import Session


@dataclass(frozen=True)
class Protocol:
    """What the simulated user does.

    Attributes:
        start: "box" = the tight box, of six numbers in a volume; "click" = the deepest pixel of the slice with the most
            voxels; "slice-box" = the tight box of the middle slice. The last two are propagated through a volume.
        interactions: the number of correcting clicks.
        propagate: whether each correction in a volume is propagated from its slice.
        limit: at most this many objects of an image, by label; None = all.
        least: objects of fewer pixels or voxels are left out before `limit` counts.
        spacing_order: as in metrics.score_case.
    """

    start: Start = "box"
    interactions: int = 5
    propagate: bool = False
    limit: int | None = None
    least: int = 1
    spacing_order: SpacingOrder = "challenge"


@dataclass(frozen=True)
class Curve:
    """DSC and NSD after 0 to n correcting interactions; of an object, or means."""

    dsc: tuple[float, ...]
    nsd: tuple[float, ...]

    @property
    def dsc_auc(self) -> float:
        """The challenge's DSC-AUC."""
        return area(self.dsc)

    @property
    def nsd_auc(self) -> float:
        """The challenge's NSD-AUC."""
        return area(self.nsd)


@dataclass(frozen=True)
class ObjectResult:
    """One object.

    Attributes:
        label: in the ground truth.
        voxels: of the true mask; of an image, pixels.
        curve: its scores.
        seconds: of the start and of each correction that was needed.
    """

    label: int
    voxels: int
    curve: Curve
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class CaseResult:
    """The objects of a file, at least one."""

    case: str
    modality: str
    objects: tuple[ObjectResult, ...]

    @property
    def curve(self) -> Curve:
        """The mean over the objects."""
        return mean_curve([found.curve for found in self.objects])


@dataclass(frozen=True)
class Case:
    """What is interacted with.

    Attributes:
        name, modality: as in CaseResult.
        pixels: (H, W), (H, W, 3) or (D, H, W), as the engine is to see them.
        truth: labels (H, W) or (D, H, W) of 0 or more.
        spacing: x, y, z in mm; None = not known, which a volume cannot be scored without.
        engine_modality: for models that distinguish modalities.
    """

    name: str
    modality: str
    pixels: NDArray[np.generic]
    truth: NDArray[np.generic]
    spacing: tuple[float, float, float] | None
    engine_modality: str | None


def area(scores: Sequence[float]) -> float:
    """The area under the scores after interactions 1 to n; NaN for n = 0, whose area does not exist."""
    after = scores[1:]
    return math.fsum((a + b) / 2 for a, b in pairwise(after)) if after else math.nan


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean of curves of one length, at least one."""
    dsc, nsd = (np.mean([getattr(curve, name) for curve in curves], axis=0) for name in ("dsc", "nsd"))
    return Curve(tuple(float(v) for v in dsc), tuple(float(v) for v in nsd))


def chosen_labels(truth: NDArray[np.generic], protocol: Protocol) -> list[tuple[int, int]]:
    """The labels that are interacted with, and their voxels, ascending."""
    labels, counts = np.unique(truth[truth != 0], return_counts=True)
    large = [(int(k), int(count)) for k, count in zip(labels, counts, strict=True) if count >= protocol.least]
    return large[: protocol.limit]


def interact(make_session: Callable[[Case], Session], case: Case, protocol: Protocol) -> CaseResult | None:
    """Interacts with a case, object by object, in one session; None if there is no object to interact with.

    Args:
        make_session: makes the session of a case.
        case: the case.
        protocol: what is done.

    Raises:
        InvalidArgument: a volume without spacing, or pixels that a session refuses.
        Error: the errors of Session's methods.
    """
    labels = chosen_labels(case.truth, protocol)
    if not labels:
        return None
    session = make_session(case)
    found = []
    for label, voxels in labels:
        truth = np.equal(case.truth, label)
        scores, seconds = [], []
        for mask, spent in _steps(session, truth, protocol):
            scores.append(_scores(truth, mask, case.spacing, protocol.spacing_order))
            seconds.append(spent)
        scores += [scores[-1]] * (1 + protocol.interactions - len(scores))  # without an error nothing is corrected
        dsc, nsd = zip(*scores, strict=True)
        found.append(ObjectResult(label, voxels, Curve(dsc, nsd), tuple(seconds)))
        session.reset()
    return CaseResult(case.name, case.modality, tuple(found))


_OBJECT = "object"


def _steps(session: Session, truth: NDArray[np.bool_], protocol: Protocol) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """The mask after the start and after each correction, and how long the answer took."""
    flat = truth.ndim == 2
    volume = truth[np.newaxis] if flat else truth

    def click(at: Click) -> None:
        session.add_click(_OBJECT, [at.x, at.y], at.positive, None if flat else at.slice)

    if protocol.start == "click":
        at = next_click(volume, np.zeros_like(volume))
        assert at is not None, "an object has a voxel"
        started = time.perf_counter()
        click(at)
    elif flat or protocol.start == "box":
        box = tight_box(truth)
        started = time.perf_counter()
        session.add_box(_OBJECT, box)
    else:
        z = middle_slice(truth)
        box = tight_box(truth[z])
        started = time.perf_counter()
        session.add_box(_OBJECT, box, z)
    if not flat and protocol.start != "box":
        session.propagate(_OBJECT)
    spent = time.perf_counter() - started
    mask = session.mask(_OBJECT)
    yield mask, spent
    for _ in range(protocol.interactions):
        wanted = next_click(volume, mask[np.newaxis] if flat else mask)
        if wanted is None:
            return
        started = time.perf_counter()
        click(wanted)
        if protocol.propagate and not flat:
            session.propagate(_OBJECT)
        spent = time.perf_counter() - started
        mask = session.mask(_OBJECT)
        yield mask, spent


def _scores(
    truth: NDArray[np.bool_], mask: NDArray[np.bool_], spacing: Sequence[float] | None, order: SpacingOrder
) -> tuple[float, float]:
    """DSC and NSD, within the box that holds both."""
    corners = tight_box(truth | mask)[::-1]
    both = tuple(slice(low, high + 1) for high, low in zip(corners[: truth.ndim], corners[truth.ndim :], strict=True))
    dsc, nsd, _ = score_case(mask[both].astype(np.uint8), truth[both].astype(np.uint8), spacing, order)
    return dsc, nsd
