# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Computes DSC and NSD as the MedSAM-on-laptop challenge does. NSD needs the extra [eval].

The rules are those of bowang-lab/MedSAM, branch LiteMedSAM, evaluation/compute_metrics.py. They are kept even where
they are surprising, because scores are compared with published ones:

- a case's score is the plain mean over the labels 1 to the highest of the ground truth; higher labels of the prediction
  do not count;
- a label that is in neither makes its DSC, and therefore the mean of the case, NaN;
- NSD is computed only if the DSC of the case is above 0.2; otherwise, and if DSC is NaN, it is 0;
- the tolerance is 2: mm in a volume, pixels in an image;
- the volume's spacing is passed in the order of the file, x, y, z, to masks in the order z, y, x
  (`spacing_order="corrected"` reverses it);
- scores are rounded to 4 digits.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.extras import require
from medsam_engine.io.files import read_labels
from medsam_engine.io.formats import suffix_of
from medsam_engine.io.medical_image import check_same_grid
from medsam_engine.io.npz_file import challenge_modality, load_arrays

SpacingOrder = Literal["challenge", "corrected"]
TOLERANCE = 2.0
MOST_LABELS = 1 << 20  # every label up to the highest is scored, so a single voxel could ask for 34 GB
_NSD_THRESHOLD = 0.2
_SUFFIXES = (".npz", ".nii.gz", ".nii", ".nrrd", ".mha", ".png")


@dataclass(frozen=True)
class CaseScore:
    """The mean DSC and NSD over the objects of a file, 0 to 1, rounded to 4 digits; NaN where the challenge has NaN."""

    case: str
    modality: str
    dsc: float
    nsd: float
    object_dsc: tuple[float, ...] = ()


@dataclass(frozen=True)
class GroupScore:
    """Plain means over the cases of a modality or over all. Cases with a score of NaN are counted but not averaged."""

    name: str
    cases: int
    dsc: float
    nsd: float
    undefined: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of the cases, sorted by name, and the cases that could not be scored: (case, reason)."""

    cases: tuple[CaseScore, ...]
    problems: tuple[tuple[str, str], ...] = field(default_factory=tuple)

    def by_modality(self) -> list[GroupScore]:
        """One row per modality that occurs, sorted by name."""
        names = sorted({score.modality for score in self.cases})
        return [_group(name, [score for score in self.cases if score.modality == name]) for name in names]

    def mean(self) -> GroupScore:
        """The means over all cases."""
        return _group("mean", self.cases)


def _group(name: str, scores: Sequence[CaseScore]) -> GroupScore:
    defined = [score for score in scores if not math.isnan(score.dsc)]
    means = [float(np.mean(values)) if values else math.nan for values in
             ([score.dsc for score in defined], [score.nsd for score in defined])]  # fmt: skip
    return GroupScore(name, len(scores), means[0], means[1], len(scores) - len(defined))


def dice(truth: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|); NaN when both are empty."""
    total = int(np.count_nonzero(truth)) + int(np.count_nonzero(prediction))
    return 2.0 * int(np.count_nonzero(truth & prediction)) / total if total else math.nan


def surface_dice(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing: Sequence[float], tolerance: float = TOLERANCE
) -> float:
    """The fraction of both surfaces that lies within `tolerance` of the other surface.

    Args:
        truth: bool, 2 or 3 axes.
        prediction: bool, the same shape.
        spacing: spacing of each axis, in the order of the axes.
        tolerance: distance in the unit of `spacing`.

    Returns:
        A value from 0 to 1; 0 if one mask is empty, NaN if both are.
    """
    # Settled here: the library's 0.1 uses numpy.Inf for an empty mask, which NumPy 2 no longer has.
    if not truth.any() or not prediction.any():
        return math.nan if truth.any() == prediction.any() else 0.0
    library = require("surface_distance", "NSD")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of SciPy, about the library's imports
        distances = library.compute_surface_distances(truth, prediction, tuple(float(s) for s in spacing))
    return float(library.compute_surface_dice_at_tolerance(distances, tolerance))


def object_dice(truth: NDArray[np.generic], prediction: NDArray[np.generic]) -> tuple[float, ...]:
    """`dice` of each label 1 to the highest of `truth`, in one pass over the label maps."""
    highest = int(truth.max(initial=0))
    flat, other = truth.ravel().astype(np.int64), prediction.ravel().astype(np.int64)
    in_truth = np.bincount(flat, minlength=highest + 1)
    in_prediction = np.bincount(np.minimum(other, highest + 1), minlength=highest + 2)
    in_both = np.bincount(flat[flat == other], minlength=highest + 1)
    return tuple(
        2.0 * int(in_both[k]) / total if (total := int(in_truth[k]) + int(in_prediction[k])) else math.nan
        for k in range(1, highest + 1)
    )


def object_surface_dice(
    truth: NDArray[np.generic], prediction: NDArray[np.generic], spacing: Sequence[float], tolerance: float = TOLERANCE
) -> tuple[float, ...]:
    """`surface_dice` of each label 1 to the highest of `truth`, each within the box that holds both masks."""
    ndimage = require("scipy.ndimage", "NSD")
    highest = int(truth.max(initial=0))
    counted = np.where(np.less_equal(prediction, highest), prediction, 0).astype(np.int64)
    boxes = zip(
        ndimage.find_objects(truth.astype(np.int64), max_label=highest),
        ndimage.find_objects(counted, max_label=highest),
        strict=True,
    )
    scores = []
    for label, (here, there) in enumerate(boxes, start=1):
        if here is None or there is None:
            scores.append(math.nan if here is there else 0.0)
            continue
        both = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(here, there, strict=True))
        scores.append(surface_dice(truth[both] == label, prediction[both] == label, spacing, tolerance))
    return tuple(scores)


def score_case(
    prediction: NDArray[np.generic],
    truth: NDArray[np.generic],
    spacing: Sequence[float] | None = None,
    spacing_order: SpacingOrder = "challenge",
) -> tuple[float, float, tuple[float, ...]]:
    """DSC, NSD and each object's DSC of one case, unrounded.

    Args:
        prediction: labels (D, H, W) or (H, W), integers.
        truth: labels, the same shape.
        spacing: x, y, z in mm, required for a volume; images are measured in pixels.
        spacing_order: "challenge" applies x, y, z to the axes z, y, x, as the script does; "corrected" reverses it.

    Raises:
        InvalidArgument: the shapes differ, labels are not integers, or a volume has no spacing.
        Unsupported: NSD is needed and the packages of the extra `eval` are not installed.
    """
    for name, labels in (("prediction", prediction), ("ground truth", truth)):
        if labels.dtype.kind not in "iu" or (labels.size and int(labels.min()) < 0):
            raise InvalidArgument(f"{name}: got {labels.dtype}, expected integers of 0 or more; give label maps")
    highest = int(truth.max(initial=0))
    if highest > MOST_LABELS:
        raise InvalidArgument(f"ground truth: got label {highest}, expected at most {MOST_LABELS}; renumber the labels")
    if prediction.shape != truth.shape:
        raise InvalidArgument(
            f"prediction: got shape {prediction.shape}, expected {truth.shape} of the ground truth; "
            "compare the same case"
        )
    if truth.ndim == 2:
        truth, prediction, spacing = truth[..., np.newaxis], prediction[..., np.newaxis], (1.0, 1.0, 1.0)
    if truth.ndim != 3 or spacing is None or len(spacing) != 3:
        raise InvalidArgument(
            f"spacing: got {spacing} for shape {truth.shape}, expected 3 numbers for a volume; take them from the image"
        )
    objects = object_dice(truth, prediction)
    dsc = float(np.mean(objects)) if objects else math.nan
    if not dsc > _NSD_THRESHOLD:
        return dsc, 0.0, objects
    order = spacing if spacing_order == "challenge" else spacing[::-1]
    return dsc, float(np.mean(object_surface_dice(truth, prediction, order))), objects


def truth_names(gts: Path, other: Path) -> list[str]:
    """The names of the files of ground truth, sorted, that are looked for in `other`, too.

    Raises:
        InvalidArgument: a folder is missing, or `gts` has no case.
    """
    for folder in (other, gts):
        if not folder.is_dir():
            raise InvalidArgument(f"eval: got {folder}, expected a folder; no such folder")
    names = sorted(path.name for path in gts.iterdir() if path.is_file() and suffix_of(path) in _SUFFIXES)
    if not names:
        raise InvalidArgument(f"eval: got no case in {gts}, expected {', '.join(_SUFFIXES)} files; name another folder")
    return names


def evaluate_folder(
    segs: Path,
    gts: Path,
    spacing_order: SpacingOrder = "challenge",
    progress: Callable[[int, int, str], None] | None = None,
    max_bytes: int | None = None,
) -> Evaluation:
    """Scores each file of `gts` against the file of the same name in `segs`.

    Args:
        segs: folder of predictions: NPZ with `segs`, or label maps as NIfTI, NRRD, MHA or PNG.
        gts: folder of ground truth: NPZ with `gts` (3D also `spacing`), or label maps.
        spacing_order: as in `score_case`.
        progress: called before each case with its index from 0, the number of cases and its name.
        max_bytes: as in `io.read`, for each file.

    Raises:
        InvalidArgument: a folder is missing, or `gts` has no case. A bad or missing file does not stop the others.
    """
    limit = ByteLimit.of(max_bytes)
    names = truth_names(gts, segs)
    cases, problems = [], []
    for k, name in enumerate(names):
        if progress is not None:
            progress(k, len(names), name)
        if not (segs / name).is_file():
            problems.append((name, f"no prediction in {segs}"))
            continue
        try:
            cases.append(_score_files(segs / name, gts / name, spacing_order, limit))
        except (Error, OSError) as error:
            problems.append((name, " ".join(str(error).split())))
    return Evaluation(tuple(cases), tuple(problems))


def _score_files(seg: Path, truth: Path, spacing_order: SpacingOrder, limit: ByteLimit) -> CaseScore:
    spacing: Sequence[float] | None = None
    if suffix_of(truth) == ".npz":
        arrays = load_arrays(truth, "gts", ("spacing",), limit)
        labels = arrays["gts"]
        prediction: NDArray[np.generic] = load_arrays(seg, "segs", limit=limit)["segs"]
        if "spacing" in arrays:
            spacing = [float(value) for value in np.asarray(arrays["spacing"], dtype=np.float64).ravel()]
    else:
        labels, image = read_labels(truth, max_bytes=limit.max_bytes)
        prediction, other = read_labels(seg, max_bytes=limit.max_bytes)
        check_same_grid(image, other)
        spacing = image.spacing
    dsc, nsd, objects = score_case(prediction, labels, spacing, spacing_order)
    return CaseScore(truth.name, challenge_modality(truth.name), round(dsc, 4), round(nsd, 4), objects)
