# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What holds for every case of a run: a plain value, which can be pickled and sent to another machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from medsam_engine.base.addresses import check_url
from medsam_engine.errors import InvalidArgument

_CLINICAL = "clinical"
ON_DIFFERENCE = ("refuse", "redo")


def chosen_precision(given: str | None, profile: str) -> str:
    """The precision to ask for. A published profile is for parity with its script, which runs in f32."""
    return given or ("auto" if profile == _CLINICAL else "f32")


@dataclass(frozen=True)
class RunOptions:
    """The options of a run; a case's own modality and window go before those here.

    Attributes:
        answers: the folder of the answers, a path or a URL; it is made when it is not there.
        bundle: the model's folder; None = as `find_bundle`.
        profile: as for Engine.
        precision: as for Engine; None = auto with the profile clinical and f32 with all others.
        trust_certificates: as trust_bundle_certificates of Engine.
        device: as for Engine.
        threads: inference threads; 0 = all cores.
        cache_dir: as for Engine.
        output_format: nii.gz, nii, nrrd, mha, png, dcm or npz; None = png for pictures, npz for NPZ files and nii.gz
            for all others.
        template: the answer's name in the folder instead: {case} is the case's name without its ending, {stem} the last
            part of it, {name} and {label} those of an object, which then has a file of its own; for example
            "{case}/{name}.nii.gz".
        modality, window: for cases that have none; None = as the file says.
        max_bytes: as for `io.read`.
        skip_unreadable: as for `io.read`, of folders.
        overwrite: make answers again that are there.
        if_different: what becomes of an answer that was made of or by something else: "refuse" keeps it, and the case
            has the status refused; "redo" makes it again. One that was changed later or has no record is kept.
        previews: a folder for pictures of the results; None = none are made.
        tries: how often a case may fail or end its process before it is quarantined.
        retry_failed: try quarantined cases again.
        reproducible: f32 on kernels that all processors of one kind have, so that unlike machines give equal bytes.
    """

    answers: str
    bundle: str | None = None
    profile: str = _CLINICAL
    precision: str | None = None
    trust_certificates: bool = False
    device: str = "CPU"
    threads: int = 0
    cache_dir: str | None = None
    output_format: str | None = None
    template: str | None = None
    modality: str | None = None
    window: str | None = None
    max_bytes: int | None = None
    skip_unreadable: bool = False
    overwrite: bool = False
    if_different: str = "refuse"
    previews: str | None = None
    tries: int = 2
    retry_failed: bool = False
    reproducible: bool = False

    @property
    def asked_precision(self) -> str:
        """The precision to ask the engine for."""
        return "f32" if self.reproducible else chosen_precision(self.precision, self.profile)

    def content(self) -> dict[str, Any]:
        """The options as JSON has them; `RunOptions(**content)` is the same again."""
        return asdict(self)

    def check(self) -> None:
        """InvalidArgument: options that do not go together, or a word that is none of those above."""
        from medsam_engine.cohort.answer_paths import check_format, check_template
        from medsam_engine.windows import check_window

        check_url("output", self.answers)
        check_format(self.output_format)
        check_template(self.template, self.output_format)
        check_window(self.window)
        if self.if_different not in ON_DIFFERENCE:
            raise InvalidArgument(f"--if-different: got {self.if_different}, expected {' or '.join(ON_DIFFERENCE)}")
        if self.tries < 1:
            raise InvalidArgument(f"--tries: got {self.tries}, expected 1 or more")
        if self.reproducible and self.precision not in (None, "f32"):
            raise InvalidArgument(
                f"--reproducible: got precision {self.precision} with it, expected f32; leave one out"
            )
