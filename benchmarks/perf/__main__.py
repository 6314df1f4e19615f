# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""This tree's speed beside another commit's, in one run: `make perf BASE=<commit>` (benchmarks/README.md, "Two trees").

Exit status: 0 when every ratio base/new is at least 0.9; 1 when one is below; 3 when other work kept the machine too
busy to judge; 2 for a usage error or a step that fails. make turns every status but 0 into 2 and names it.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from benchmarks.compare.harness.cases import Case
from benchmarks.compare.harness.measure import measure_processes, measure_stages
from benchmarks.compare.harness.systems import ROOT, System
from benchmarks.perf.judgment import Load, Row, judge, table
from benchmarks.perf.others import now, others_share, share_at_rest
from benchmarks.perf.trees import Tree, base_commit, base_tree, this_tree

from medsam_engine.measure.machine import describe_machine

TURNS = {"encode": 15, "prompt": 10}  # measure.py says how many calls a turn has
PROCESSES = 9
PRECISIONS = ("f32", "auto")
REST_S = 3.0  # in which others are looked at before


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="", metavar="COMMIT", help="default: origin/main (or main); there, HEAD~1")
    parser.add_argument("--bundle", type=Path, default=ROOT / "build/bundles/litemedsam")
    parser.add_argument("--base-bundle", type=Path, help="for a base that cannot read --bundle; default: fetched by it")
    parser.add_argument("--threads", type=int, default=0, help="0 = each engine's own choice")
    parser.add_argument("--work", type=Path, default=ROOT / "build/perf")
    return parser.parse_args()


def _case(folder: Path) -> Case:
    """A picture of 1024 x 1024 pixels that needs no data from elsewhere: noise, a bright disk, and a box around it."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:1024, :1024]
    disk = ((x - 500) ** 2 + (y - 400) ** 2 < 150**2) * 120
    noise = np.random.default_rng(0).integers(0, 100, (1024, 1024, 3))
    file = folder / "picture.npz"
    np.savez(file, imgs=(noise + disk[..., np.newaxis]).astype(np.uint8), boxes=np.array([[350, 250, 650, 550]]))
    return Case("process", "one image, one box", file, 1, 1)


def _options(tree: Tree, precision: str, bundle: Path, arguments: argparse.Namespace) -> list[str | Path]:
    words: list[str | Path] = ["--bundle", bundle, "--precision", precision, "--threads", str(arguments.threads)]
    return [*words, "--cache-dir", arguments.work / "cache" / tree.key]


def _describe(tree: Tree, precision: str, bundle: Path, case: Case, arguments: argparse.Namespace) -> str:
    """The precisions that a tree's stages run in, after a run that fills its caches. RuntimeError when it fails."""
    words = ["-m", "benchmarks.perf.one_image", *_options(tree, precision, bundle, arguments), "--describe", case.file]
    command = [str(word) for word in tree.command(*words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    told = json.loads(done.stdout.splitlines()[-1])
    return f"{told['encoder']}/{told['decoder']}"


def _base_bundle(tree: Tree, case: Case, arguments: argparse.Namespace) -> Path:
    """The new tree's bundle where the base can read it, else one that the base has made."""
    if arguments.base_bundle:
        return Path(arguments.base_bundle)
    try:
        _describe(tree, "f32", arguments.bundle, case, arguments)
    except RuntimeError as error:
        made: Path = tree.paths[0].parent / "bundle"
        if not made.is_dir():
            print(f"perf: the base cannot read {arguments.bundle} ({error}); it makes one of its own", flush=True)
            words = tree.command("-m", "medsam_engine", "fetch", "litemedsam", "--out", made)
            subprocess.run([str(word) for word in words], check=True, cwd="/")
        return made
    return Path(arguments.bundle)


def _system(tree: Tree, precision: str, bundle: Path, arguments: argparse.Namespace) -> System:
    options = _options(tree, precision, bundle, arguments)
    return System(
        f"{tree.key} {precision}",
        tree.title,
        lambda folder, _: tree.command("-m", "benchmarks.perf.one_image", *options, folder / "picture.npz"),
        lambda case: tree.command("-m", "benchmarks.compare.harness.engine_stages", *options, "--stages", case),
    )


def main() -> int:
    arguments = _arguments()
    arguments.bundle, arguments.work = arguments.bundle.resolve(), arguments.work.resolve()
    new, base = this_tree(), base_tree(base_commit(arguments.base), arguments.work)
    case = _case(arguments.work / "case")
    bundles = {"base": _base_bundle(base, case, arguments), "new": arguments.bundle}
    told = {}
    for tree in (base, new):
        for precision in PRECISIONS:
            told[f"{tree.key} {precision}"] = _describe(tree, precision, bundles[tree.key], case, arguments)
    systems = {  # taking turns: base, new, base, new
        f"{tree.key} {precision}": _system(tree, precision, bundles[tree.key], arguments)
        for precision in PRECISIONS
        for tree in (base, new)
    }
    before, begin = share_at_rest(REST_S), now()
    stages = measure_stages(systems, case.file, TURNS)
    runs = measure_processes(systems, case, arguments.work, PROCESSES, budget_s=300, warm_up=True)
    load = Load(before, others_share(begin, now(), len(os.sched_getaffinity(0))))

    times = {**stages, "process": {key: [run.wall_s for run in found] for key, found in runs.items()}}
    rows = []
    for what, by_system in times.items():
        for precision in PRECISIONS:
            ran = [told[f"{key} {precision}"] for key in ("base", "new")]
            name = f"{precision} ({ran[0] if ran[0] == ran[1] else ' | '.join(ran)})"
            rows.append(Row(what, name, by_system[f"base {precision}"], by_system[f"new {precision}"]))
    machine = describe_machine()
    print(f"\nbase       {base.title}\nnew        {new.title}")
    print(f"processor  {machine['processor']}, {machine['cores']} cores, governor {machine['governor']}")
    print(f"threads    {arguments.threads or 'as each engine chooses'}")
    share = f"other work used {load.before:.1%} of the cores before, {load.during:.1%} during the measurement"
    print(f"load       {machine['load average (1 minute)']} (1 minute, this one's included); {share}\n")
    print("\n".join(table(rows)))
    status, why = judge(rows, load)
    print(f"\nperf: {why}")
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"perf: {error}", file=sys.stderr)
        sys.exit(2)
