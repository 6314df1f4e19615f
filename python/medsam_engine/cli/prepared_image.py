# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An image as the engine is to see it: the window that was asked for or that its modality calls for."""

from typing import Protocol

from medsam_engine import io
from medsam_engine.io.formats import Format, input_format
from medsam_engine.io.npz_file import challenge_modality
from medsam_engine.modalities import named_modality
from medsam_engine.windows import Windowed, default_window, windowed


class TakesNotes(Protocol):
    """Whoever says what the user should know: at once, or when the case ends."""

    def note(self, text: str) -> None:
        """A line of its own."""


def prepared_image(source: io.MedicalImage, window: str | None, modality: str | None, steps: TakesNotes) -> Windowed:
    """What the engine is to see, and a note on how it was made."""
    if window is None and input_format(source.path) is Format.IMAGE:
        return windowed(source.array, "none")  # pictures go in as they are, at their own depth
    chosen = source.modality if modality is None else modality.upper()
    shown = windowed(source.array, window, chosen, source.colour, padding=source.padding, hounsfield=source.hounsfield)
    if not shown.unchanged:
        known = chosen or "unknown modality; give --modality or --window if this is CT, MR or PET"
        left_out = "; padding left out" if source.padding else ""
        steps.note(f"window: {window or default_window(chosen, source.hounsfield)} ({known}{left_out})")
    return shown


def window_name(shown: Windowed, source: io.MedicalImage, window: str | None, modality: str | None) -> str:
    """The window through which `shown` was made of `source`; "none" where the values are as they were."""
    if shown.unchanged:
        return "none"
    chosen = source.modality if modality is None else modality.upper()
    return window or default_window(chosen, source.hounsfield)


def engine_modality(given: str | None, source: io.MedicalImage) -> str | None:
    """The modality that the engine is told: what was given, else what the file or the name of a challenge case says."""
    if given is not None:
        return named_modality(given) or given  # the engine names those it knows
    return named_modality(source.modality) or named_modality(challenge_modality(source.path.name))
