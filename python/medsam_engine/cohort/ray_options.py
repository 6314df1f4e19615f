# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Where and how Ray runs the cases of a cohort: plain values, and what an actor asks the cluster for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from medsam_engine import find_bundle
from medsam_engine.base.addresses import is_url
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.errors import InvalidArgument, ModelError

_OWN_FOLDERS = ("none",)  # words that stand for no folder in RunOptions.cache_dir
_ADDRESS = re.compile(r"\S+:(\d{1,5})")


@dataclass(frozen=True)
class RayOptions:
    """Which cluster, and how much of it.

    Attributes:
        address: "local" starts Ray on this machine for the run; else HOST:PORT of a cluster, as `ray start` prints it,
            for example "10.0.0.1:6379". A program that has called ray.init is connected already.
        actors: how many engines; None = as many as the cluster's CPUs (and GPUs) have room for, which is looked at
            again while the run goes on.
    """

    address: str = "local"
    actors: int | None = None

    def check(self) -> None:
        """InvalidArgument: no such address, or fewer actors than one."""
        if self.address != "local" and not _ADDRESS.fullmatch(self.address):
            raise InvalidArgument(f"--ray: got {self.address}, expected local or HOST:PORT of a Ray cluster")
        if self.actors is not None and self.actors < 1:
            raise InvalidArgument(f"--actors: got {self.actors}, expected auto or a number from 1")


@dataclass(frozen=True)
class ActorShape:
    """What each actor asks Ray for: CPUs, which are its engine's threads, and GPUs."""

    cpus: int
    gpus: int

    @staticmethod
    def of(options: RunOptions) -> ActorShape:
        """By the options of the run: one CPU unless `threads` says more, and a GPU for the device cuda:N."""
        return ActorShape(max(1, options.threads), int(options.device.lower().startswith("cuda")))

    def room(self, resources: dict[str, float]) -> int:
        """How many such actors a node has room for."""
        by_cpu = int(resources.get("CPU", 0.0) // self.cpus)
        return min(by_cpu, int(resources.get("GPU", 0.0) // self.gpus)) if self.gpus else by_cpu


def on_any_node(options: RunOptions) -> RunOptions:
    """The options as a process of another folder and machine needs them: absolute paths, threads of one actor.

    Ray shows each actor the GPUs that it has given it as the first ones, so that the device is cuda:0 in all of them.
    """
    shape = ActorShape.of(options)
    try:
        bundle: str | None = str(find_bundle(options.bundle))
    except ModelError:
        if options.bundle is not None:
            raise
        bundle = None  # the nodes may have one
    cache = options.cache_dir
    return replace(
        options,
        answers=_absolute(options.answers),
        bundle=None if bundle is None else _absolute(bundle),
        previews=None if options.previews is None else _absolute(options.previews),
        cache_dir=cache if cache is None or cache in _OWN_FOLDERS else _absolute(cache),
        threads=shape.cpus,
        device="cuda:0" if shape.gpus else options.device,
    )


def case_on_any_node(case: CaseSpec) -> CaseSpec:
    """The case with absolute paths; its name, and with it its answer's, stays."""
    beside = case.boxes_from
    return replace(case, path=_absolute(case.path), boxes_from=None if beside is None else _absolute(beside))


def _absolute(place: str) -> str:
    return place if is_url(place) else os.path.abspath(place)
