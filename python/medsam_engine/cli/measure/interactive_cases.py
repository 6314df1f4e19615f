# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases of `medsam-engine eval --interactive`: images with their ground truth, one after the other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medsam_engine import Engine, Session, io
from medsam_engine.errors import Error, InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.formats import suffix_of
from medsam_engine.io.medical_image import check_same_grid
from medsam_engine.io.npz_file import challenge_modality, load_arrays
from medsam_engine.measure.interaction import Case, CaseResult, Protocol, interact
from medsam_engine.measure.interaction_means import InteractiveEvaluation
from medsam_engine.measure.metrics import truth_names
from medsam_engine.show.prepared_image import engine_modality, prepared_image


class _Unnoted:
    """Takes the note on the window, which is the default one of every case."""

    def note(self, text: str) -> None:
        """Nothing is shown."""


def evaluate_interaction(
    engine: Engine,
    images: Path,
    gts: Path,
    protocol: Protocol,
    max_bytes: int | None = None,
    progress: Callable[[int, int, str], object] = lambda *_: None,
) -> InteractiveEvaluation:
    """Interacts with each image whose ground truth has the same file name; the folders may be one.

    Args:
        engine: the model.
        images: NPZ with `imgs`, or any file that io.read reads.
        gts: NPZ with `gts`, or label maps as NIfTI, NRRD, MHA or PNG.
        protocol: what the simulated user does.
        max_bytes: as in io.read, for each file.
        progress: called before each case with its index, the number of cases and its name.

    Raises:
        InvalidArgument: a folder is missing, or there is no case. A case that fails does not stop the others.
    """
    names = truth_names(gts, images)
    results: list[CaseResult] = []
    problems = []
    for k, name in enumerate(names):
        progress(k, len(names), name)
        try:
            case = _read_case(images / name, gts / name, max_bytes)
            result = interact(lambda read: _session(engine, read), case, protocol)
        except (Error, OSError) as error:
            problems.append((name, " ".join(str(error).split())))
            continue
        if result is None:
            problems.append((name, f"ground truth: got no object of {protocol.least} voxels or more"))
        else:
            results.append(result)
    return InteractiveEvaluation(tuple(results), tuple(problems))


def _read_case(image: Path, truth: Path, max_bytes: int | None) -> Case:
    if suffix_of(truth) == ".npz":
        labels = load_arrays(truth, "gts", limit=ByteLimit.of(max_bytes))["gts"]
        labels_image = None
    elif image.resolve() == truth.resolve():
        raise InvalidArgument(
            f"images: got the ground truth {truth.name} itself, expected the image; give --images FOLDER"
        )
    else:
        labels, labels_image = io.read_labels(truth, max_bytes=max_bytes)
    source = io.read(image, max_bytes=max_bytes)
    if labels_image is not None:
        check_same_grid(source, labels_image)
    if labels.dtype.kind not in "iu" or labels.shape != source.grid:
        raise InvalidArgument(
            f"ground truth: got {labels.dtype} of shape {labels.shape}, expected integers of shape {source.grid} of "
            "the image"
        )
    if source.is_volume and (source.color or source.array.shape[-1] == 3):
        raise InvalidArgument(
            f"image: got a volume of shape {source.array.shape}, expected gray voxels and not 3 columns, which a "
            "session takes for RGB"
        )
    shown = prepared_image(source, None, None, _Unnoted())
    pixels = shown.slices(range(source.grid[0]))
    return Case(
        image.name,
        challenge_modality(image.name) or source.modality,
        np.ascontiguousarray(pixels),
        labels,
        source.spacing if source.spaced else None,
        engine_modality(None, source),
    )


def _session(engine: Engine, case: Case) -> Session:
    # Without encoding ahead, an answer's time is the same whatever the time between two of them.
    modality = case.engine_modality
    return Session(engine, case.pixels, case.spacing, "none", modality, undo_bytes=0, encode_ahead=False)
