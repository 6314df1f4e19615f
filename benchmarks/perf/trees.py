# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The two trees: which commit the base is, and a build of it below build/perf that leaves this tree's alone."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.harness.systems import ROOT


@dataclass(frozen=True)
class Tree:
    """One side: how it is called, and what runs its package."""

    key: str
    title: str
    python: Path
    paths: tuple[Path, ...]
    """First on PYTHONPATH; empty where the package is installed in the interpreter's own environment."""

    def command(self, *words: str | Path) -> list[str | Path]:
        """A command line with this tree's package and this program's own modules."""
        return ["env", "PYTHONPATH=" + os.pathsep.join(map(str, (*self.paths, ROOT))), self.python, *words]


def git(*words: str) -> str:
    """What git says. RuntimeError when it fails."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _known(name: str) -> bool:
    words = ["git", "-C", str(ROOT), "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def base_commit(wanted: str, known: Callable[[str], bool] = _known, ask: Callable[..., str] = git) -> str:
    """The commit's full hash. "" = origin/main, or main without an origin; the commit before it when that is HEAD."""

    def commit(name: str) -> str:
        return ask("rev-parse", "--verify", f"{name}^{{commit}}")

    if wanted:
        return commit(wanted)
    head = commit("HEAD")
    main = next((name for name in ("origin/main", "main") if known(name)), "HEAD")
    found = commit(main)
    return commit("HEAD~1") if found == head else found


def described(commit: str) -> str:
    """The commit's short hash and its subject."""
    return git("log", "-1", "--format=%h %s", commit)


def this_tree() -> Tree:
    """What `make build` has installed, from the working tree as it stands."""
    changed = " with changes that are not committed" if git("status", "--porcelain") else ""
    return Tree("new", described("HEAD") + changed, Path(sys.executable), ())


def requirements(source: Path) -> list[str]:
    """What a tree's package needs to be built and to run."""
    tables = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    # Older trees have OpenVINO among the dependencies alone.
    linked = tables["project"]["optional-dependencies"].get("openvino", [])
    return [*tables["project"]["dependencies"], *linked, *tables["dependency-groups"]["build"]]


def base_tree(commit: str, work: Path) -> Tree:
    """The base, built unless an earlier run has built the same commit. RuntimeError when it cannot be built."""
    folder = work / f"base-{commit[:12]}"
    source, site, partial = folder / "source", folder / "site", folder / "site.partial"
    own = folder / "venv"
    if not site.is_dir():
        for old in work.glob("base-*"):  # a build is large, and one base is looked at at a time
            shutil.rmtree(old)
        source.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    same = requirements(source) == requirements(ROOT)
    python = Path(sys.executable) if same else own / "bin/python"
    if not site.is_dir():
        log = folder / "build.log"
        if not same:
            _step([sys.executable, "-m", "venv", own], source, log, "an environment with the base's own packages")
            _step([python, "-m", "pip", "install", *requirements(source)], source, log, "its packages")
        build: list[str | Path] = [python, "-m", "pip", "install", "--verbose", "--no-build-isolation", "--no-deps"]
        build += ["--config-settings=build-dir=build/wheel", "--target", partial, "."]
        _step(build, source, log, f"building the base, {described(commit)}")
        # The library looks for OpenVINO beside the package.
        found = subprocess.run([python, "-c", _OPENVINO], cwd="/", capture_output=True, text=True, check=True).stdout
        (partial / "openvino").symlink_to(found.strip())
        partial.rename(site)
    return Tree("base", described(commit), python, (site,))


_OPENVINO = "import importlib.util as u; print(u.find_spec('openvino').submodule_search_locations[0])"


def _step(command: list[str | Path], cwd: Path, log: Path, title: str) -> None:
    print(f"perf: {title} ...", flush=True)
    with log.open("a", encoding="utf-8") as file:
        # ccache sees the same paths in both trees, so that it compiles what differs alone.
        environment = {**os.environ, "CCACHE_BASEDIR": str(cwd)}
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=cwd, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise RuntimeError(f"{end}\n{title}: failed with status {done.returncode}; all of its output is in {log}")
