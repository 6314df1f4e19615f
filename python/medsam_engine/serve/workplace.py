# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What all requests share: the engine, the open studies, the leases, the limits, and the thread that computes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from medsam_engine import Engine, InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.medical_image import MedicalImage
from medsam_engine.serve.access import Access
from medsam_engine.serve.leases import Leases
from medsam_engine.serve.log import log_event
from medsam_engine.serve.metrics import Metrics
from medsam_engine.serve.nninteractive.client_state import ClientOptions, ClientState
from medsam_engine.serve.save_folder import make_save_folder
from medsam_engine.serve.study import Study
from medsam_engine.serve.worker import Worker, WorkerClosed


@dataclass(frozen=True)
class Limits:
    """How much the clients of a server may ask for.

    Attributes:
        body_bytes: of one request.
        image_bytes: of the images of all leases together, and of one uploaded study.
        leases: how many programs may be connected at once.
        studies: how many studies may be open at once.
        idle_seconds: after which an unused lease ends.
        liveness_seconds: after which a lease ends whose client has not been heard from.
        answer_seconds: after which a propagation begins no further slice.
        body_seconds: how long 16 KiB of a body may take.
        embedding_bytes: memory for the encoded planes of one session.
    """

    body_bytes: int = field(default_factory=lambda: min(4 << 30, ByteLimit.of(None).max_bytes))
    image_bytes: int = field(default_factory=lambda: ByteLimit.of(None).max_bytes)
    leases: int = 4
    studies: int = 16
    idle_seconds: float = 8 * 3600.0
    liveness_seconds: float = 60.0
    answer_seconds: float = 20.0
    body_seconds: float = 30.0
    embedding_bytes: int = 512 << 20


class Workplace:
    """One server's state. Attributes are read from any thread; studies and leases change on the event loop only.

    Args:
        engine: the model.
        access: who may ask.
        limits: how much.
        window: the window of every image that does not come with one.
        modality: likewise.
        folder: where the sessions of studies are saved; None = nowhere.

    Raises:
        InvalidArgument: `folder` cannot be made or takes no files.

    Attributes:
        studies: the open ones by their id, in the order in which they were opened.
        leases: of nnInteractive's protocol.
        ending: set as soon as the server is to end; streams that would go on have to stop.
    """

    def __init__(
        self,
        engine: Engine,
        access: Access,
        limits: Limits | None = None,
        *,
        window: str | None = None,
        modality: str | None = None,
        folder: Path | None = None,
    ) -> None:
        self.engine, self.access, self.limits = engine, access, limits or Limits()
        self.window, self.modality, self.folder = window, modality, folder
        if folder is not None:
            make_save_folder(folder)
        self.metrics = Metrics()
        self.worker = Worker(self.metrics.observe_job)
        self.studies: dict[str, Study] = {}
        options = ClientOptions(window, modality, self.limits.answer_seconds, self.limits.embedding_bytes)
        self.leases: Leases[ClientState] = Leases(
            lambda: ClientState(engine, options),
            self._let_go,
            most=self.limits.leases,
            idle=self.limits.idle_seconds,
            liveness=self.limits.liveness_seconds,
        )
        self.ending = threading.Event()
        self.metrics.jobs_waiting.set_function(lambda: self.worker.waiting)
        self.metrics.leases.set_function(lambda: len(self.leases))
        self.metrics.studies.set_function(lambda: len(self.studies))
        self.metrics.image_bytes.set_function(self.lease_image_bytes)

    def check_slot(self) -> None:
        """InvalidArgument: as many studies are open as may be."""
        if len(self.studies) >= self.limits.studies:
            raise InvalidArgument(
                f"studies: got {len(self.studies)} open, expected fewer than {self.limits.studies}; close one"
            )

    def new_study(self, image: MedicalImage, name: str) -> Study:
        """A study that is not open yet, with its digests, which take time. Any thread.

        Raises as Study.source_digest.
        """
        study = Study(
            self.engine,
            image,
            name,
            window=self.window,
            modality=self.modality,
            folder=self.folder,
            embedding_bytes=self.limits.embedding_bytes,
        )
        _ = study.digest, study.source_digest
        return study

    def open_study(self, study: Study) -> Study:
        """Opens a study; its session is made when it is first needed.

        Returns:
            the study, or the one of the same image that is open already: two would save to one file.

        Raises:
            InvalidArgument: as many studies are open as may be; another server saves the work on this image; or the
                same image is open from a file with another header, which masks would be saved with.
        """
        known = next((known for known in self.studies.values() if known.digest == study.digest), None)
        if known is not None:
            if known.source_digest != study.source_digest:
                raise InvalidArgument(
                    "study: got the image of an open study from a file with another header, expected one of the two; "
                    "close that study first"
                )
            return known
        self.check_slot()
        study.claim()
        self.studies[study.id] = study
        image = study.image
        log_event("study_opened", study=study.id, shape="x".join(map(str, image.grid)), color=image.color)
        return study

    def forget_study(self, study: Study) -> None:
        """Lets a study go as it was last saved; nothing happens if it is not open."""
        if self.studies.pop(study.id, None) is not None:
            with contextlib.suppress(WorkerClosed):
                self.worker.submit(study.id, study.forget)

    def _let_go(self, state: ClientState) -> None:
        # A session that ends waits for the plane that it is encoding, which the event loop must not.
        with contextlib.suppress(WorkerClosed):
            self.worker.submit("leases", state.end)

    def lease_image_bytes(self) -> int:
        """Bytes of the images that the leases hold."""
        return sum(lease.content.image_bytes for lease in self.leases)

    async def prepare(self) -> None:
        """Makes the sessions of the studies that were named, so that encoding begins before anybody asks."""
        for study in list(self.studies.values()):
            await self.worker.run(study.id, study.prepare)

    def begin_to_end(self) -> None:
        """Tells everybody that the server is to end. From a signal handler, too."""
        self.ending.set()

    async def end(self) -> None:
        """Lets the jobs that were begun or queued finish, and saves what is open."""
        self.begin_to_end()
        await asyncio.to_thread(self.worker.close)
        for study in self.studies.values():
            try:
                await asyncio.to_thread(study.save)
            except Exception as error:  # of any kind: the work on the other studies is not lost with it
                log_event("session_not_saved", level=logging.ERROR, study=study.id, error=type(error).__name__)
            study.release()
        log_event("ended", studies=len(self.studies))
