# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How the run over Ray's actors answers losses, on a cluster that is played; tests/cluster has the real one."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medsam_engine import InvalidArgument, ModelError
from medsam_engine.base.output_check import ReadFiles
from medsam_engine.cohort import CaseResult, CaseSpec, CaseWorker, RayOptions, RunOptions, ray_actor, ray_rows, worker
from medsam_engine.cohort.ray_actor import Actor, Loaded
from medsam_engine.cohort.ray_options import ActorShape, case_on_any_node, on_any_node
from medsam_engine.cohort.ray_run import RayRun, RayWork
from medsam_engine.errors import Error

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"
MODEL = {"model": "m"}


class Lost(Exception):
    """As Ray says it of an actor that is no more."""


@dataclass
class PlayedCluster:
    """Does one call of each actor whenever it is asked what is ready."""

    nodes: list[str]
    cases: Callable[[str, str], object] = lambda _name, _node: None  # raises Lost for a case that is lost
    load: Callable[[str], object] = lambda node: Loaded(node, MODEL)
    dead: set[str] = field(default_factory=set)
    started: list[Actor] = field(default_factory=list)
    values: dict[Any, Any] = field(default_factory=dict)
    queues: dict[int, deque[tuple[str, str]]] = field(default_factory=dict)
    most_waiting: int = 0

    def room(self, shape: ActorShape) -> int:
        return sum(shape.room({"CPU": 1.0}) for node in self.nodes if node not in self.dead)

    def alive(self, node: str) -> bool:
        return node not in self.dead

    def start(self, options: RunOptions, shape: ActorShape) -> Actor:
        assert options.threads == shape.cpus == 1
        number = len(self.started)
        actor = Actor(number, ("load", number))
        self.started.append(actor)
        self.queues[number] = deque([("load", "")])
        return actor

    def give(self, actor: Actor, case: CaseSpec, index: int, _tried: bool) -> None:
        reference = ("case", actor.handle, case.file)
        self.queues[actor.handle].append(reference[::2])
        actor.at_work[reference] = index
        self.most_waiting = max(self.most_waiting, len(actor.at_work))

    def ready(self, references: list[Any], _patience_s: float) -> list[Any]:
        assert references, "nothing is waited for"
        for actor, queue in self.queues.items():
            node = self.nodes[actor % len(self.nodes)]
            if not queue:
                continue
            kind, name = queue.popleft()
            reference = ("load", actor) if kind == "load" else ("case", actor, name)
            try:
                made = self.load(node) if kind == "load" else self.cases(name, node)
                self.values[reference] = made if kind == "load" else CaseResult(name, "", "done")
            except Lost as loss:
                self.values[reference] = loss
                self.values.update({("case", actor, waiting): loss for _, waiting in queue})
                queue.clear()
            except Error as error:
                self.values[reference] = error
        return [reference for reference in references if reference in self.values]

    def value(self, reference: Any) -> Any:
        return self.values[reference]

    def is_loss(self, value: object) -> bool:
        return isinstance(value, Lost)

    def drop(self, actor: Actor) -> None:
        self.queues[actor.handle].clear()


def run_of(
    cluster: PlayedCluster,
    tmp_path: Path,
    count: int = 12,
    actors: int | None = None,
    note: Callable[[str], object] = lambda _text: None,
) -> tuple[RayRun, list[CaseResult]]:
    cases = [CaseSpec.of(f"c{k}.png", [[1, 2, 3, 4]]) for k in range(count)]
    options = RunOptions(str(tmp_path), bundle=str(TINY))
    ended: list[CaseResult] = []
    worker = CaseWorker(options)
    work = RayWork([worker.files(case) for case in cases], worker, RayOptions(actors=actors), ReadFiles([]))
    played: Any = cluster
    return RayRun(played, work, ended.append, note), ended


def test_results_are_in_order_and_each_actor_loads_once(tmp_path: Path) -> None:
    cluster = PlayedCluster(["a", "b", "c"])
    run, ended = run_of(cluster, tmp_path)
    results = run.run()
    assert [end.name for end in results] == [f"c{k}.png" for k in range(12)]
    assert sorted(end.name for end in ended) == sorted(end.name for end in results)
    assert run.loads == len(cluster.started) == 3
    assert cluster.most_waiting == 2, "no more than two cases are out per actor"


def test_no_more_actors_than_cases_or_than_asked_for(tmp_path: Path) -> None:
    for count, actors, wanted in ((2, None, 2), (12, 2, 2), (12, 9, 9)):
        cluster = PlayedCluster(["a", "b", "c"])
        run, _ = run_of(cluster, tmp_path, count, actors)
        run.run()
        assert len(cluster.started) == wanted


def test_cases_of_a_lost_node_are_done_elsewhere(tmp_path: Path) -> None:
    cluster = PlayedCluster(["a", "b", "c"])
    calls: list[str] = []

    def case(name: str, node: str) -> None:
        calls.append(name)
        if node == "b" and len(calls) > 4:
            cluster.dead.add("b")
        if node in cluster.dead:
            raise Lost

    cluster.cases = case
    run, _ = run_of(cluster, tmp_path)
    assert [end.status for end in run.run()] == ["done"] * 12
    assert len(calls) == 13, "one case was begun twice"
    assert cluster.dead == {"b"}


def test_a_case_that_ends_its_process_is_given_up_and_the_rest_is_done(tmp_path: Path) -> None:
    begun: list[str] = []

    def case(name: str, _node: str) -> None:
        begun.append(name)
        if name == "c3.png":
            raise Lost

    cluster = PlayedCluster(["a", "b"], case)
    run, ended = run_of(cluster, tmp_path)
    results = run.run()
    assert [end.name for end in results if not end.whole] == ["c3.png"]
    assert results[3].quarantined
    assert results[3].message == "quarantined after 2 tries: its process has ended"
    assert begun.count("c3.png") == 2
    assert all(begun.count(f"c{k}.png") == 1 for k in range(12) if k != 3), "those behind it had not begun"
    assert len(ended) == 12


def test_a_case_that_is_another_one_to_the_ledger_at_each_try_is_given_up_too(tmp_path: Path) -> None:
    begun: list[str] = []
    cluster = PlayedCluster(["a", "b"])
    run, _ = run_of(cluster, tmp_path, 4)

    def case(name: str, _node: str) -> None:
        if name == "c1.png":
            begun.append(name)
            assert len(begun) < 9, "it is tried again and again"
            worker = run.work.worker
            # As of an image at a URL: each process fetches it anew, and its ledger's key is another one.
            worker.ledger.begin(worker.files(CaseSpec.of(name)).record, name, f"key {len(begun)}")
            raise Lost

    cluster.cases = case
    results = run.run()
    assert [end.status for end in results] == ["done", "failed", "done", "done"]
    assert len(begun) == 2
    assert (results[1].quarantined, results[1].message) == (True, "quarantined after 2 tries: its process has ended")


def test_notes_on_the_engines_are_told_once(tmp_path: Path) -> None:
    notes: list[str] = []
    cluster = PlayedCluster(["a", "b", "c"], load=lambda node: Loaded(node, MODEL, ("other kernels",)))
    run, _ = run_of(cluster, tmp_path, note=notes.append)
    run.run()
    assert run.loads == 3
    assert notes == ["other kernels"]


def test_an_actor_tells_of_kernels_that_are_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    about = SimpleNamespace(encoder_backend="fused 2", decoder_backend="OpenVINO")
    context = SimpleNamespace(get_node_id=lambda: "a")
    ray = SimpleNamespace(get_runtime_context=lambda: context)
    monkeypatch.setattr(ray_actor, "import_module", lambda _name: ray)
    monkeypatch.setattr(worker, "decides_on_masks", lambda _about, reproducible: {"pinned": str(reproducible)})
    monkeypatch.setattr(worker, "check_reproducible", lambda _about: None)
    engine = SimpleNamespace(info=about)
    monkeypatch.setattr(ray_actor, "CaseWorker", lambda options, **more: CaseWorker(options, engine, **more))  # type: ignore[arg-type]  # is asked for its info alone
    assert ray_actor.CaseActor(RunOptions("out")).load() == Loaded("a", {"pinned": "False"})
    note = "note: OpenVINO chooses its own kernels; masks may differ between processors by rounding"
    pinned = RunOptions("out", reproducible=True)
    assert ray_actor.CaseActor(pinned).load() == Loaded("a", {"pinned": "True"}, (note,))
    about.decoder_backend = "fused"
    assert ray_actor.CaseActor(pinned).load().notes == ()


def test_two_cases_of_one_answer_are_no_rows(tmp_path: Path) -> None:
    cases = [CaseSpec.of(f"/{folder}/scan.nii.gz", [[1, 2, 0, 3, 4, 1]]) for folder in ("p1", "p2")]
    with pytest.raises(InvalidArgument, match="expected one per file"):
        ray_rows(cases, RunOptions(str(tmp_path)))
    assert [row["name"] for row in ray_rows(cases[:1], RunOptions(str(tmp_path)))] == ["/p1/scan.nii.gz"]


def test_a_case_whose_nodes_vanish_is_not_blamed_at_once(tmp_path: Path) -> None:
    losses = iter(range(100))
    cluster = PlayedCluster([f"n{k}" for k in range(40)])

    def case(name: str, node: str) -> None:
        if name == "c0.png" and next(losses) < 5:
            cluster.dead.add(node)
            raise Lost

    cluster.cases = case
    run, _ = run_of(cluster, tmp_path)
    assert run.run()[0].status == "done"


def test_an_engine_that_cannot_be_loaded_ends_the_run(tmp_path: Path) -> None:
    def load(_node: str) -> object:
        raise ModelError("bundle: got none")

    run, ended = run_of(PlayedCluster(["a", "b"], load=load), tmp_path)
    with pytest.raises(ModelError, match="bundle: got none"):
        run.run()
    assert ended == []

    def crash(_node: str) -> object:
        raise Lost

    cluster = PlayedCluster(["a"], load=crash)
    run, _ = run_of(cluster, tmp_path)
    with pytest.raises(Error, match="before its engine was there"):
        run.run()
    assert len(cluster.started) == 3


def test_nodes_with_different_models_are_refused(tmp_path: Path) -> None:
    cluster = PlayedCluster(["a", "b"], load=lambda node: Loaded(node, {"precision": f"f{node}"}))
    run, _ = run_of(cluster, tmp_path)
    with pytest.raises(InvalidArgument, match="--ray: got precision fb on node b and fa on another one"):
        run.run()


def test_what_an_actor_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = RunOptions("out", bundle=str(TINY), threads=4, device="CUDA:1", cache_dir="none")
    assert ActorShape.of(options) == ActorShape(4, 1)
    assert ActorShape.of(options).room({"CPU": 16.0, "GPU": 2.0}) == 2
    assert ActorShape(1, 0).room({"CPU": 3.0}) == 3
    monkeypatch.chdir(tmp_path)
    there = on_any_node(options)
    assert (there.answers, there.device, there.cache_dir) == (str(tmp_path / "out"), "cuda:0", "none")
    case = case_on_any_node(CaseSpec.of("scans/a.png", [[1, 2, 3, 4]]))
    assert (case.file, case.path) == ("scans/a.png", str(tmp_path / "scans" / "a.png"))
    assert case_on_any_node(CaseSpec.of("s3://b/a.png", [[1, 2, 3, 4]])).path == "s3://b/a.png"


@pytest.mark.parametrize("options", [RayOptions(""), RayOptions("auto"), RayOptions(actors=0)])
def test_options_that_are_none(options: RayOptions) -> None:
    with pytest.raises(InvalidArgument, match=r"--ray|--actors"):
        options.check()
