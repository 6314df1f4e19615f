# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which series of a study are segmented, and which of its SEG and RTSTRUCT series gives their boxes."""

from collections.abc import Sequence

from medsam_engine.dicomweb.server import SeriesEntry
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.dicom.seg import SERIES_DESCRIPTION
from medsam_engine.io.modalities import named_modality

OBJECTS = ("SEG", "RTSTRUCT")
_SHOWN = 5


def chosen_series(found: Sequence[SeriesEntry], wanted: Sequence[str], modality: str | None) -> list[SeriesEntry]:
    """The image series of a study to be segmented.

    Args:
        found: all of the study.
        wanted: SeriesInstanceUIDs; without any, all image series.
        modality: DICOM's code or the engine's name of it; None = any.

    Raises:
        InvalidArgument: a series is not of the study or of another modality, or none is left.
    """
    by_uid = {entry.uid: entry for entry in found}
    missing = [uid for uid in wanted if uid not in by_uid]
    if missing:
        raise InvalidArgument(f"--series: got {missing[0]}, expected one of the study ({listed(found)}); copy its UID")
    chosen = [by_uid[uid] for uid in dict.fromkeys(wanted)] or [
        entry for entry in found if named_modality(entry.modality) is not None
    ]
    fitting = [entry for entry in chosen if modality is None or _is_modality(entry, modality)]
    if not fitting or (wanted and len(fitting) < len(chosen)):
        what = f"of modality {modality}" if modality is not None else "with images"
        raise InvalidArgument(
            f"--study: got no series {what} among {listed(chosen or found)}, expected one; choose with --series UID"
        )
    return fitting


def _is_modality(entry: SeriesEntry, modality: str) -> bool:
    if entry.modality == modality.upper():
        return True
    name = named_modality(modality)
    return name is not None and named_modality(entry.modality) == name


def one_series(chosen: Sequence[SeriesEntry]) -> SeriesEntry:
    """The one series that boxes on the command line are for. InvalidArgument: there are several."""
    if len(chosen) != 1:
        raise InvalidArgument(
            f"--series: got {len(chosen)} series that match ({listed(chosen)}), expected one for these boxes; choose "
            "with --series UID or --modality"
        )
    return chosen[0]


def series_with_objects(found: Sequence[SeriesEntry], wanted: str) -> SeriesEntry:
    """The SEG or RTSTRUCT series of a study that gives the boxes.

    SEG series that this package has stored are not meant by "SEG", so that a command can be repeated.

    Args:
        found: all series of the study.
        wanted: "SEG", "RTSTRUCT", or a SeriesInstanceUID.

    Raises:
        InvalidArgument: none or several fit.
    """
    kinds = [entry for entry in found if entry.modality in OBJECTS]
    if wanted.upper() in OBJECTS:
        fitting = [e for e in kinds if e.modality == wanted.upper() and e.description != SERIES_DESCRIPTION]
    else:
        fitting = [entry for entry in kinds if entry.uid == wanted]
    if len(fitting) != 1:
        there = f"; the study has {listed(kinds)}" if kinds else "; the study has neither SEG nor RTSTRUCT"
        raise InvalidArgument(
            f"--boxes-from: got {wanted}, which {len(fitting)} series of the study fit, expected one{there}; "
            "give its UID"
        )
    return fitting[0]


def listed(entries: Sequence[SeriesEntry]) -> str:
    """The first of them for a message."""
    shown = "; ".join(map(str, entries[:_SHOWN]))
    return shown + (f"; and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else "")
