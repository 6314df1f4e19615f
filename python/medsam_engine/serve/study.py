# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A study: one image or volume that is open on the server, and the work on it."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import numpy as np

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.base.whole_file import make_private_folder
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.serve.log import log_event
from medsam_engine.show.prepared_image import engine_modality, shown_through, window_to_ask_for


class Notes(list[str]):
    """Lines for a person, in order."""

    def note(self, text: str) -> None:
        """Adds one."""
        self.append(text)


class Study:
    """An image, its geometry, and its session, which survives the server.

    The session is made by the first call of `session`, on the thread that computes (Worker): windowing a volume takes
    time. After each step, save() writes it to a private file that is named after the pixels, and the next Study of the
    same pixels, window and spacing goes on from there. Not thread-safe but for the attributes.

    Attributes:
        id: random text, the study's name in addresses.
        name: what a person knows it by; never logged.
        image: values and geometry, as `medsam_engine.io` has read them.
        window: as `medsam_engine.windows.apply_window` takes it; None = by the modality.
        modality: as it was given, or else the file's own.
        notes: what a person should know of the image: what its reader said and, once the session is made, its window.
        resumed: whether the session began with work that an earlier server has saved; known once it is made.
    """

    def __init__(
        self,
        engine: Engine,
        image: MedicalImage,
        name: str,
        *,
        window: str | None = None,
        modality: str | None = None,
        folder: Path | None = None,
        embedding_bytes: int = 512 << 20,
    ) -> None:
        """`folder`: where sessions are saved; None = nowhere. The image's file has to exist now, and not later."""
        self.id = secrets.token_hex(8)
        self.name = name
        self.image = image
        self.window = window_to_ask_for(image, window)
        self.modality = image.modality if modality is None else modality
        self.notes = Notes(image.notes)
        self.resumed = False
        self._engine = engine
        self._folder = folder
        self._embedding_bytes = embedding_bytes
        self._given_modality = modality
        self._session: Session | None = None

    @property
    def opened(self) -> Session | None:
        """The session if it is made already. Any thread."""
        return self._session

    @property
    def session(self) -> Session:
        """The session, made and resumed at the first use; raises as Session does.

        A saved file that is damaged or of another image is put aside, and an event goes to the log.
        """
        if self._session is None:
            session = self._new_session()
            file = self.file
            if file is not None and file.exists():
                try:
                    session.load(file)
                    self.resumed = bool(session.objects)
                except InvalidArgument as error:
                    kept = file.with_suffix(".refused")
                    file.replace(kept)  # so that the next save does not destroy it
                    log_event("session_not_resumed", study=self.id, error=type(error).__name__)
            self._session = session
        return self._session

    def prepare(self) -> None:
        """Makes the session if there is none yet. Raises as `session`."""
        _ = self.session

    def _new_session(self) -> Session:
        shown = shown_through(self.image, self.window, self._given_modality, self.notes)
        pixels = shown.slices(range(len(self.image.array)))
        spacing = self.image.spacing if self.image.is_volume else self.image.spacing[:2]
        modality = engine_modality(self._given_modality, self.image)
        # The window is applied above, where padding is known; "none" leaves it at that.
        return Session(self._engine, pixels, spacing, "none", modality, embedding_bytes=self._embedding_bytes)

    @property
    def file(self) -> Path | None:
        """Where the session is saved, or None."""
        return None if self._folder is None else self._folder / f"{self.digest}.session"

    @property
    def digest(self) -> str:
        """SHA-256 of the values, their type and shape, the spacing, the window and the modality: 64 hex digits."""
        if not hasattr(self, "_digest"):
            array = self.image.array
            text = f"{array.dtype.str} {array.shape} {self.image.spacing} {self.window} {self.modality}"
            digest = hashlib.sha256(text.encode())
            for part in array:  # slice by slice: a mapped file is not copied whole
                digest.update(np.ascontiguousarray(part).data)
            self._digest = digest.hexdigest()
        return self._digest

    def save(self) -> None:
        """Writes the session, whole or not at all. InvalidArgument when it cannot be written."""
        file = self.file
        if file is None or self._session is None:
            return
        make_private_folder(file.parent)
        self._session.save(file)

    def close(self) -> None:
        """Saves the session and lets it go. Raises as save()."""
        self.save()
        self._session = None
