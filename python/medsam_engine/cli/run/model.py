# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The model that `medsam-engine run` was asked for."""

from dataclasses import dataclass

from medsam_engine import Engine
from medsam_engine.cli.model_options import ModelOptions, precision_note
from medsam_engine.cli.run.screen import RunScreen
from medsam_engine.cohort.run_engine import load_engine
from medsam_engine.cohort.run_options import RunOptions


@dataclass
class Model:
    """The options of the run, and its engine once it is loaded."""

    options: RunOptions
    engine: Engine | None = None

    def load(self, screen: RunScreen) -> Engine:
        """Loads the model and prints a line about its precision. Error if it cannot be loaded."""
        self.engine = load_engine(self.options)
        screen.note(precision_note(self.engine.info, self.options.asked_precision))
        return self.engine


def run_options_of(model: ModelOptions, answers: str) -> RunOptions:
    """The options of a run with this model and folder of answers, and the defaults of all others."""
    return RunOptions(
        answers=answers,
        bundle=None if model.bundle is None else str(model.bundle),
        profile=model.profile,
        precision=model.precision,
        trust_certificates=model.trust_certificates,
        device=model.device,
        threads=model.threads,
        cache_dir=None if model.cache_dir is None else str(model.cache_dir),
    )
