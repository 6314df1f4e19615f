# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Prepares an image for the engine, with the window that was asked for or the default of its modality."""

from typing import Protocol

from medsam_engine import io
from medsam_engine.io.formats import Format, input_format
from medsam_engine.io.modalities import named_modality
from medsam_engine.io.npz_file import challenge_modality
from medsam_engine.windows import Windowed, default_window, windowed


class TakesNotes(Protocol):
    """Receives the notes for the user, and shows them at once or when the case ends."""

    def note(self, text: str) -> None:
        """Adds one line."""


def prepared_image(source: io.MedicalImage, window: str | None, modality: str | None, steps: TakesNotes) -> Windowed:
    """The pixels for the engine, and a note on the window that was used."""
    return shown_through(source, window_to_ask_for(source, window), modality, steps)


def window_to_ask_for(source: io.MedicalImage, window: str | None) -> str | None:
    """The window that was given; without one, "none" for pictures, which are used at their own bit depth."""
    return "none" if window is None and input_format(source.path) is Format.IMAGE else window


def shown_through(source: io.MedicalImage, window: str | None, modality: str | None, steps: TakesNotes) -> Windowed:
    """As prepared_image, with a window from window_to_ask_for; the image's file is not looked at."""
    if window == "none":
        return windowed(source.array, "none")
    chosen = source.modality if modality is None else modality.upper()
    shown = windowed(source.array, window, chosen, source.color, padding=source.padding, hounsfield=source.hounsfield)
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
    """The modality for the engine: the one that was given, or else that of the file or of a challenge case's name."""
    if given is not None:
        return named_modality(given) or given  # the engine names those it knows
    return named_modality(source.modality) or named_modality(challenge_modality(source.path.name))
