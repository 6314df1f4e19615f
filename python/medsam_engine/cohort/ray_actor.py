# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""One engine in a Ray actor, and the cluster as the run over the actors sees it. Nothing else imports ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from medsam_engine.base.packages import missing, pip_install
from medsam_engine.cohort.case_result import CaseResult
from medsam_engine.cohort.case_spec import CaseSpec
from medsam_engine.cohort.ray_options import ActorShape, RayOptions
from medsam_engine.cohort.run_options import RunOptions
from medsam_engine.cohort.worker import CaseWorker
from medsam_engine.errors import Unsupported

# Cases and results are small and go from process to process; Ray's default would take 30 % of the memory.
_OBJECT_STORE_BYTES = 100 << 20
_REACH_S = 10.0


@dataclass(frozen=True)
class Loaded:
    """An actor whose engine is there.

    Attributes:
        node: on which it runs.
        model: what of the engine decides on masks.
        notes: to be told of it.
    """

    node: str
    model: dict[str, str]
    notes: tuple[str, ...] = ()


class CaseActor:
    """A worker in a process of Ray's: one engine, one case at a time."""

    def __init__(self, options: RunOptions) -> None:
        """The options of the run, as `on_any_node` gives them."""
        self._tried: set[str] = set()
        self._worker = CaseWorker(options, tried=self._tried)

    def load(self) -> Loaded:
        """Loads the engine. Error: it cannot be loaded on this node."""
        ray = import_module("ray")
        worker = self._worker
        return Loaded(ray.get_runtime_context().get_node_id(), worker.decides_on_masks, tuple(worker.notes))

    def run(self, case: CaseSpec, tried: bool) -> CaseResult:
        """Does one case, which this run has perhaps tried before, in an actor that was lost."""
        if tried:
            self._tried.add(case.file)
        return self._worker(case)


@dataclass
class Actor:
    """What the run knows of an actor.

    Attributes:
        handle: Ray's.
        loading: the reference of `load`; None once it is loaded.
        loaded: what `load` gave.
        at_work: the references of its cases in the order in which it does them, with the cases' indices.
    """

    handle: Any
    loading: Any
    loaded: Loaded | None = None
    at_work: dict[Any, int] = field(default_factory=dict)


def _check_reached(address: str) -> None:
    """Unsupported: nobody listens at the address. Ray itself would try for ten minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except (OSError, OverflowError) as error:
        raise Unsupported(f"--ray: got {address}, expected the address of a Ray cluster; {error}") from error


class RayCluster:
    """The connection to a cluster, which is ended on exit if it was made here.

    Attributes:
        actor_class: what its actors are.
    """

    actor_class: type[CaseActor] = CaseActor

    def __init__(self, options: RayOptions) -> None:
        """Unsupported: ray is not installed."""
        if missing(["ray"]):
            raise Unsupported(f"--ray: got no package ray, expected it installed; {pip_install('ray')}")
        options.check()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at import; nothing is reported to anybody
        self._ray: Any = import_module("ray")
        self._options = options
        self._own = False

    def __enter__(self) -> RayCluster:
        if self._ray.is_initialized():
            return self
        local = self._options.address == "local"
        if not local:
            _check_reached(self._options.address)
        started = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES} if local else {}
        main = threading.current_thread() is threading.main_thread()
        stopping = signal.getsignal(signal.SIGTERM) if main else None
        try:
            self._ray.init(address=self._options.address, log_to_driver=False, logging_level="error", **started)
        except (ConnectionError, RuntimeError, ValueError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise Unsupported(
                f"--ray: got {self._options.address}, expected a Ray cluster that can be reached; {lines[0]}"
            ) from error
        finally:
            if main and stopping is not None:
                signal.signal(signal.SIGTERM, stopping)  # Ray has set its own
        self._own = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._own:
            self._ray.shutdown()

    def room(self, shape: ActorShape) -> int:
        """How many actors the nodes that are alive have room for, all of their CPUs counted."""
        return sum(shape.room(node["Resources"]) for node in self._ray.nodes() if node["Alive"])

    def alive(self, node: str) -> bool:
        """Whether a node is, as far as the cluster knows."""
        return any(entry["NodeID"] == node and entry["Alive"] for entry in self._ray.nodes())

    def start(self, options: RunOptions, shape: ActorShape) -> Actor:
        """A new actor, which waits for its resources and then loads its engine. It is never restarted by Ray."""
        wanted = {"num_cpus": shape.cpus, "num_gpus": shape.gpus, "scheduling_strategy": "SPREAD"}
        made = self._ray.remote(**wanted, max_restarts=0, max_task_retries=0)(self.actor_class)
        handle = made.remote(options)
        return Actor(handle, handle.load.remote())

    def give(self, actor: Actor, case: CaseSpec, index: int, tried: bool) -> None:
        """Puts a case into an actor's queue."""
        actor.at_work[actor.handle.run.remote(case, tried)] = index

    def ready(self, references: list[Any], patience_s: float) -> list[Any]:
        """Those of the references that have ended, at least one of them if one does in this time."""
        found, _ = self._ray.wait(references, num_returns=1, timeout=patience_s, fetch_local=False)
        if not found:
            return []
        found, _ = self._ray.wait(references, num_returns=len(references), timeout=0, fetch_local=False)
        return list(found)

    def value(self, reference: Any) -> Any:
        """What a call gave, or the exception that ended it: an Error of ours, or one of Ray's."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return error.cause
        except self._ray.exceptions.RayError as error:
            return error

    def is_loss(self, value: object) -> bool:
        """Whether a value of `value` says that the actor is no more."""
        return isinstance(value, self._ray.exceptions.RayError)

    def drop(self, actor: Actor) -> None:
        """Ends an actor; what it is at is lost."""
        self._ray.kill(actor.handle)
