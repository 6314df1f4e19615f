# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A study: one image or volume that is open on the server, and the work on it."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import numpy as np

from medsam_engine import Engine, InvalidArgument, Session
from medsam_engine.io.input_file import Unchanged, read_input
from medsam_engine.io.medical_image import DicomSource, MedicalImage
from medsam_engine.serve.log import log_event
from medsam_engine.serve.save_folder import Claim, make_save_folder
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
        self._claim: Claim | None = None
        source = image.source
        self._files = Unchanged(source.files if isinstance(source, DicomSource) else ())
        self._closed = False

    @property
    def keeps(self) -> bool:
        """Whether the work is saved anywhere."""
        return self._folder is not None

    def claim(self) -> None:
        """Sees to it that nobody else saves the work on these pixels until close() or release().

        InvalidArgument: somebody else does, or the folder takes no files.
        """
        file = self.file
        if file is not None and self._claim is None:
            self._claim = Claim(file)

    def release(self) -> None:
        """Lets others save the work on these pixels."""
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def check_files(self) -> None:
        """InvalidArgument: DICOM files changed since they were read, so that a mask must not refer to them."""
        try:
            self._files.check()
        except InvalidArgument as error:
            raise InvalidArgument(
                "study: got DICOM files that have changed since they were opened, expected them as they were; close "
                "the study and open them again"
            ) from error

    @property
    def opened(self) -> Session | None:
        """The session if it is made already. Any thread."""
        return self._session

    @property
    def session(self) -> Session:
        """The session, made and resumed at the first use; raises as Session does, and InvalidArgument after close().

        A saved file that is damaged or of another image is put aside, and an event goes to the log.
        """
        if self._closed:
            raise InvalidArgument("study: got one that was closed, expected an open one; open its image again")
        if self._session is None:
            session = self._new_session()
            file = self.file
            if file is not None and file.exists():
                try:
                    session.load(file)
                    self.resumed = bool(session.objects)
                except InvalidArgument as error:
                    kept = _unused(file)
                    file.replace(kept)  # so that the next save does not destroy it
                    self.notes.note(f"the saved work could not be read and was kept as {kept.name} in --save-folder")
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
        """SHA-256 of the values and of all that masks on them depend on: 64 hex digits. Takes time, once."""
        if not hasattr(self, "_digest"):
            image = self.image
            array = image.array
            grid = f"{image.spacing} {image.origin} {image.direction.tolist()} {image.spaced} {image.positioned}"
            values = f"{array.dtype.str} {array.shape} {image.color} {image.hounsfield} {image.padding}"
            digest = hashlib.sha256(f"{values} {grid} {self.window} {self.modality}".encode())
            for part in array:  # slice by slice: what is not contiguous is not copied whole
                digest.update(np.ascontiguousarray(part).data)
            self._digest = digest.hexdigest()
        return self._digest

    @property
    def source_digest(self) -> str:
        """Of what a saved mask takes from the file beside the grid; equal for copies of a file. Takes time, once.

        InvalidArgument when a file of the image can no longer be read.
        """
        if not hasattr(self, "_source_digest"):
            source = self.image.source
            if isinstance(source, DicomSource):
                digest = hashlib.sha256(repr(source.frames).encode())
                for file in source.files:
                    digest.update(hashlib.sha256(read_input(file, "image")).digest())
                self._source_digest = digest.hexdigest()
            else:
                self._source_digest = repr(source)
        return self._source_digest

    def save(self) -> None:
        """Writes the session, whole or not at all. InvalidArgument when it cannot be written."""
        file = self.file
        if file is None or self._session is None:
            return
        make_save_folder(file.parent)
        self._session.save(file)

    def close(self) -> None:
        """Saves the session and lets it go. Raises as save(), and then the study stays open."""
        self.save()
        self.forget()

    def forget(self) -> None:
        """Lets the session go as it was last saved."""
        self._closed = True
        self._session = None
        self.release()


def _unused(file: Path) -> Path:
    """A name for what is put aside, which nothing has that was put aside before."""
    number, kept = 1, file.with_suffix(".refused")
    while kept.exists():
        number += 1
        kept = file.with_suffix(f".refused-{number}")
    return kept
