# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine info`: what a bundle is, and that this machine can load it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from medsam_engine import CertificateInfo, Engine, EngineInfo, __version__, find_bundle, simd_target
from medsam_engine.cli.terminal import plain
from medsam_engine.cli.tune import in_words


def _manifest_rows(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("schema version", str(manifest["schema_version"]))]
    for role, model in manifest["models"].items():
        rows.append(
            (f"model {role}", f"{model['file']}, {model['bytes'] / 1e6:.1f} MB, sha256 {model['sha256'][:16]}...")
        )
    rows += [(f"provenance {key}", str(value)) for key, value in manifest.get("provenance", {}).items()]
    rows += [(f"parity {key}", f"{value:.2g}") for key, value in manifest.get("parity", {}).items()]
    return rows


_ORIGINS = {
    "project": "measured by this project",
    "machine": "measured on this machine",
    "bundle": "the bundle's own word",
}


def _certificate_rows(certificates: tuple[CertificateInfo, ...]) -> list[tuple[str, str]]:
    rows = [
        (
            f"certificate {c.encoder}/{c.decoder}",
            f"{_ORIGINS[c.origin]}; {'counts here' if not c.obstacle else c.obstacle}",
        )
        for c in certificates
    ]
    return rows or [("certificates", "none")]


_PLURALS = {"box": "boxes", "points": "points", "mask": "masks", "scribble": "scribbles"}


def _combination(kinds: tuple[str, ...]) -> str:
    first, *others = (_PLURALS[kind] for kind in kinds)
    return f"{first} with {' and '.join(others)}" if others else first


def _prompts(about: EngineInfo) -> str:
    """What the weights were trained with, and what the graph only takes."""
    known = ", ".join(_combination(kinds) for kinds in about.trained_prompts)
    takes = {"points": about.accepts_points, "mask": about.accepts_mask and not about.accepts_scribble}
    takes["scribble"] = about.accepts_scribble
    trained = {kind for kinds in about.trained_prompts for kind in kinds}
    only_taken = ", ".join(_PLURALS[kind] for kind, taken in takes.items() if taken and kind not in trained)
    if not about.trained_prompts_stated:
        unknown = "assumed; the bundle does not say what its weights were trained with: export it again"
        return f"{known} ({unknown})" + (f"; {only_taken} (the graph takes them)" if only_taken else "")
    untrained = "the graph takes them; the weights were not trained with them"
    return f"{known} (trained)" + (f"; {only_taken} ({untrained})" if only_taken else "")


def info(
    bundle: Annotated[
        Path | None, typer.Argument(help="Model folder; else $MEDSAM_ENGINE_BUNDLE, else the one that was fetched.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Hash every file again.")] = False,
) -> None:
    """Show what a bundle is, and check that it loads."""
    folder = find_bundle(bundle)
    # The engine first: it refuses a bundle it does not understand, so the manifest below is known to be well formed.
    engine = Engine(folder, precision="auto", verify=verify)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    about = engine.info
    table = Table(title=plain(folder), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = [
        ("family", about.family),
        ("profile", about.profile),
        ("input", f"{about.input_size} x {about.input_size} pixels"),
        ("image embedding", " x ".join(map(str, about.embedding_shape))),
        ("low_res_logits", " x ".join(map(str, about.mask_shape))),
        ("prompts", _prompts(about)),
        ("modalities", ", ".join(about.modalities) or "not asked for"),
        ("experts", ", ".join(about.experts) or "one model for all"),
        ("model hash", about.model_hash),
        *_manifest_rows(manifest),
        *_certificate_rows(about.certificates),
        ("engine", f"medsam-engine {__version__}, kernels {simd_target()}"),
        ("backend", f"{about.backend}, {about.device}"),
        ("precision auto", in_words(about)),
    ]
    for name, value in rows:
        table.add_row(plain(name), plain(value))
    Console().print(table)
