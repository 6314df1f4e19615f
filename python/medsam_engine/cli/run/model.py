# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The model that `medsam-engine run` was asked for."""

from dataclasses import dataclass
from pathlib import Path

from medsam_engine import Engine, find_bundle
from medsam_engine.cli.model_options import precision_note
from medsam_engine.cli.run.screen import RunScreen


@dataclass
class Model:
    """The options of the model, and its engine once it is loaded."""

    bundle: Path | None
    profile: str
    precision: str
    trust_certificates: bool
    device: str
    threads: int
    cache_dir: Path | None
    engine: Engine | None = None

    def load(self, screen: RunScreen) -> Engine:
        """Loads the model and prints a line about its precision. Error if it cannot be loaded."""
        self.engine = Engine(
            find_bundle(self.bundle),
            device=self.device,
            precision=self.precision,
            trust_bundle_certificates=self.trust_certificates,
            threads=self.threads,
            profile=self.profile,
            cache_dir=self.cache_dir,
        )
        screen.note(precision_note(self.engine.info, self.precision))
        return self.engine
