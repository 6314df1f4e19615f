# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The cases of a cohort on actors of Ray: each has one engine, which it loads once, and gets a case after the other.

Ray places the actors, tells of those that are lost and carries cases and results, which are small: images are read and
answers written by the actors. A case whose actor is lost, with its node or alone, goes to another one. The
records beside the answers say which case is done, never Ray, so that it does no harm if a case is done twice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from medsam_engine.base.error_text import error_text
from medsam_engine.base.output_check import ReadFiles
from medsam_engine.cohort.answer_paths import CaseFiles
from medsam_engine.cohort.case_result import FAILED, CaseResult
from medsam_engine.cohort.ray_actor import Actor, Loaded, RayCluster
from medsam_engine.cohort.ray_options import ActorShape, RayOptions, case_on_any_node, on_any_node
from medsam_engine.cohort.run_inputs import check_files
from medsam_engine.cohort.worker import CaseWorker, fail
from medsam_engine.errors import BackendError, Error, InvalidArgument

# One case at work and one that waits in the actor's process: the next begins without a round trip.
_PER_ACTOR = 2
# How often a cluster in which nothing happens is asked for its nodes.
_LOOK_S = 5.0
# So often a case may be lost with nodes that vanish. RunOptions.tries says how often it may end its process.
_MOST_LOSSES = 10
# So many actors in a row may end before their engine is there.
_MOST_UNBORN = 3


@dataclass(frozen=True)
class RayWork:
    """What there is to do.

    Attributes:
        files: the cases.
        worker: with the options of the run; it knows where answers go and keeps the ledger, and loads no engine.
        ray: how much of the cluster.
        reads: the files of all cases, which no answer may be.
    """

    files: Sequence[CaseFiles]
    worker: CaseWorker
    ray: RayOptions
    reads: ReadFiles


class RayRun:
    """One run. Make it, call `run` once, within the cluster.

    Attributes:
        work: what there is to do.
        actors_started, loads: actors that were asked for, and engines that they have loaded.
    """

    def __init__(
        self,
        cluster: RayCluster,
        work: RayWork,
        finished: Callable[[CaseResult], object],
        note: Callable[[str], object] = lambda _text: None,
    ) -> None:
        """The work and where it is done.

        Args:
            cluster: which is connected.
            work: what there is to do.
            finished: called with each result as the case ends.
            note: called with each note on the engines, once.
        """
        self.work = work
        self._cluster, self._files, self._finished, self._note = cluster, work.files, finished, note
        options = work.worker.options
        self._options, self._shape = on_any_node(options), ActorShape.of(options)
        self._todo = deque(range(len(work.files)))
        self._results: dict[int, CaseResult] = {}
        self._actors: list[Actor] = []
        self._losses: Counter[int] = Counter()  # by a node or an actor
        # Ends of an actor on a node that lives, in this run. The ledger counts more, those of earlier runs, but begins
        # anew when a case's files look changed, as an image at a URL does in each process that fetches it.
        self._crashes: Counter[int] = Counter()
        self._notes: set[str] = set()
        self._model: dict[str, str] | None = None
        self._unborn = 0
        self.loads = 0
        self.actors_started = 0

    def run(self) -> list[CaseResult]:
        """Does all cases; one result per case, in their order.

        Raises:
            Error: an engine cannot be loaded, or two nodes have models or precisions that differ.
            KeyboardInterrupt: the cases at work are dropped.
        """
        try:
            while len(self._results) < len(self._files):
                self._start_actors()
                self._hand_out()
                self._take(self._cluster.ready(self._references(), _LOOK_S))
        finally:
            for actor in self._actors:
                self._cluster.drop(actor)
                for index in list(actor.at_work.values())[:1]:
                    self.work.worker.ledger.leave(self._files[index].record)
        return [self._results[index] for index in range(len(self._files))]

    def _start_actors(self) -> None:
        left = len(self._files) - len(self._results)
        if len(self._actors) >= min(left, self.work.ray.actors or left):
            return
        # One at least: a cluster that grows with what is asked for may have no node yet.
        wanted = self.work.ray.actors or max(1, self._cluster.room(self._shape))
        while len(self._actors) < min(left, wanted):
            self._actors.append(self._cluster.start(self._options, self._shape))
            self.actors_started += 1

    def _hand_out(self) -> None:
        """To the actors that are loaded: a case that waited for an actor without resources would wait for long."""
        for waiting in range(_PER_ACTOR):  # every actor has one before any has two
            for actor in self._actors:
                while actor.loaded is not None and len(actor.at_work) == waiting and self._todo:
                    self._give(actor, self._todo.popleft())

    def _give(self, actor: Actor, index: int) -> None:
        files = self._files[index]
        try:
            check_files(self.work.reads, files)
        except InvalidArgument as error:
            end = self._result_of(index)
            fail(end, error)
            self._end(index, end)
            return
        self._cluster.give(actor, case_on_any_node(files.case), index, index in self._crashes)

    def _references(self) -> list[Any]:
        loading = [actor.loading for actor in self._actors if actor.loading is not None]
        return loading + [reference for actor in self._actors for reference in actor.at_work]

    def _take(self, ready: list[Any]) -> None:
        ended = set(ready)
        for actor in list(self._actors):
            if actor.loading in ended:
                self._take_loaded(actor, self._cluster.value(actor.loading))
            for reference in [known for known in actor.at_work if known in ended]:  # in the order of its queue
                value = self._cluster.value(reference)
                if self._cluster.is_loss(value):
                    self._lose(actor)
                    break
                if isinstance(value, Exception):
                    raise _told(value)
                self._end(actor.at_work.pop(reference), value)

    def _take_loaded(self, actor: Actor, value: object) -> None:
        actor.loading = None
        if isinstance(value, Loaded):
            if self._model not in (None, value.model):
                raise InvalidArgument(_difference(self._model or {}, value))
            self._model, actor.loaded = value.model, value
            self._unborn = 0
            self.loads += 1
            for text in value.notes:
                if text not in self._notes:
                    self._notes.add(text)
                    self._note(text)
        elif self._cluster.is_loss(value) and self._unborn + 1 < _MOST_UNBORN:
            self._unborn += 1
            self._lose(actor)
        else:
            raise _told(value)

    def _lose(self, actor: Actor) -> None:
        """An actor is no more: its cases go to the front of the line. The first one, at work, may be what ended it."""
        self._actors.remove(actor)
        self._cluster.drop(actor)  # it may have been out of reach only
        back = list(actor.at_work.values())
        if back and self._is_given_up(actor, back[0]):
            back.pop(0)
        self._todo.extendleft(reversed(back))

    def _is_given_up(self, actor: Actor, index: int) -> bool:
        """Writes down that a case was lost with its actor; whether it is not to be tried again."""
        files, ledger = self._files[index], self.work.worker.ledger
        self._losses[index] += 1
        if actor.loaded is None or self._cluster.alive(actor.loaded.node):
            reason = "its process has ended"
            self._crashes[index] += 1
            standing = ledger.fail(files.record, files.case.file, reason)
            if not standing.quarantined(self._options.tries) and self._crashes[index] < self._options.tries:
                return False
            failed = max(standing.failed, self._crashes[index])
            quarantined, message = True, f"quarantined after {failed} tries: {reason}"
        else:
            ledger.leave(files.record)
            if self._losses[index] < _MOST_LOSSES:
                return False
            quarantined, message = False, f"its node was lost {self._losses[index]} times; it is given up in this run"
        end = self._result_of(index)
        end.status, end.message = FAILED, message
        end.quarantined = quarantined
        self._end(index, end)
        return True

    def _result_of(self, index: int) -> CaseResult:
        files = self._files[index]
        return CaseResult(files.case.file, str(files.answer), objects=len(files.case.objects))

    def _end(self, index: int, end: CaseResult) -> None:
        self._results[index] = end
        self._finished(end)


def _told(value: object) -> Exception:
    if isinstance(value, Error):
        return value
    error = value if isinstance(value, Exception) else TypeError(f"got {value!r:.100}")
    return BackendError(f"--ray: an actor has ended before its engine was there; {error_text(error)}")


def _difference(first: dict[str, str], other: Loaded) -> str:
    key = next(key for key in {**first, **other.model} if first.get(key) != other.model.get(key))
    return (
        f"--ray: got {key} {other.model.get(key)} on node {other.node} and {first.get(key)} on another one, expected "
        "the same on all; give --precision f32, or install the same package and model everywhere"
    )
