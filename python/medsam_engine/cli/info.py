# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine info`: describes a bundle, and checks that this machine can load it."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from medsam_engine import CertificateInfo, Engine, EngineInfo, __version__, find_bundle, simd_target
from medsam_engine.cli.json_output import Json, certificate_object, engine_object, print_json
from medsam_engine.cli.measure.tune import in_words
from medsam_engine.cli.model_options import certificate_in_force
from medsam_engine.cli.terminal import plain


def _manifest_rows(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("schema version", str(manifest["schema_version"]))]
    # Without graphs, the native weights are the models.
    for role, model in manifest["models"].items():
        file = model if "file" in model else manifest["fused"][role]
        rows.append((f"model {role}", f"{file['file']}, {file['bytes'] / 1e6:.1f} MB, sha256 {file['sha256'][:16]}..."))
    rows += [(f"provenance {key}", str(value)) for key, value in manifest.get("provenance", {}).items()]
    rows += [(f"parity {key}", f"{value:.2g}") for key, value in manifest.get("parity", {}).items()]
    return rows


# Highway's names of its targets, and the names that the makers of the processors use.
_INSTRUCTION_SETS = {
    "SCALAR": "portable C++, no vector instructions",
    "EMU128": "portable C++, no vector instructions",
    "SSE2": "SSE2",
    "SSSE3": "SSSE3",
    "SSE4": "SSE4.2",
    "AVX2": "AVX2",
    "AVX3": "AVX-512",
    "AVX3_DL": "AVX-512 with VNNI (Ice Lake)",
    "AVX3_ZEN4": "AVX-512 with VNNI and bf16 (Zen 4)",
    "AVX3_SPR": "AVX-512 with bf16 and f16 (Sapphire Rapids)",
    "AVX10_2": "AVX10.2",
    "NEON": "NEON",
    "SVE": "SVE",
    "SVE2": "SVE2",
}


def kernels_in_words() -> str:
    """The instruction set that the pixel kernels use on this machine, with Highway's name for it."""
    target = simd_target()
    return f"{_INSTRUCTION_SETS[target]} ({target})" if target in _INSTRUCTION_SETS else target


def _certificate_table(certificates: tuple[CertificateInfo, ...], manifest: dict[str, Any]) -> Table:
    """One row per certificate, in the manifest's order."""
    table = Table(
        title="Certificates: what may run instead of f32",
        title_justify="left",
        caption="agreement: mean DSC with the f32 masks over the objects; worst: DSC of the object where it is lowest; "
        "from: measured by this project or on this machine, or only claimed by the bundle",
        caption_justify="left",
    )
    table.add_column("encoder/decoder", no_wrap=True)
    for name in ("agreement", "worst", "images", "objects"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("here", overflow="fold")
    for known, written in zip(certificates, manifest.get("certificates", []), strict=True):
        objects = written["measured"].get("objects")  # free text to the library, which counts images
        table.add_row(
            plain(f"{known.encoder}/{known.decoder}"),
            f"{known.agreement_mean:.4f}",
            "-" if math.isnan(known.agreement_worst) else f"{known.agreement_worst:.4f}",
            str(known.images),
            str(objects) if isinstance(objects, int) else "-",
            known.origin,
            plain(known.obstacle or "counts"),
        )
    return table


EXAMPLES = """Examples:

medsam-engine info

medsam-engine info my_bundle --verify --json
"""


_PLURALS = {"box": "boxes", "points": "points", "mask": "masks", "scribble": "scribbles"}


def _combination(kinds: tuple[str, ...]) -> str:
    first, *others = (_PLURALS[kind] for kind in kinds)
    return f"{first} with {' and '.join(others)}" if others else first


def _prompts(about: EngineInfo) -> str:
    """The prompts that the weights were trained with, and those that only the graph accepts."""
    known = ", ".join(_combination(kinds) for kinds in about.trained_prompts)
    takes = {"points": about.accepts_points, "mask": about.accepts_mask and not about.accepts_scribble}
    takes["scribble"] = about.accepts_scribble
    trained = {kind for kinds in about.trained_prompts for kind in kinds}
    only_taken = ", ".join(_PLURALS[kind] for kind, taken in takes.items() if taken and kind not in trained)
    if not about.trained_prompts_stated:
        unknown = "assumed; the bundle does not state what its weights were trained with: export it again"
        return f"{known} ({unknown})" + (f"; {only_taken} (the graph accepts them)" if only_taken else "")
    untrained = "the graph accepts them; the weights were not trained with them"
    searched = "" if "points" in trained else "; a click is answered by a search over boxes"
    return f"{known} (trained)" + (f"; {only_taken} ({untrained})" if only_taken else "") + searched


def info(
    bundle: Annotated[
        Path | None, typer.Argument(help="Model folder; by default $MEDSAM_ENGINE_BUNDLE, or else the fetched one.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every file again and compare it with the manifest.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe a bundle, and check that it loads on this machine."""
    folder = find_bundle(bundle)
    # The engine first: it refuses a bundle it does not understand, so the manifest below is known to be well formed.
    engine = Engine(folder, precision="auto", verify=verify)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    about = engine.info
    if as_json:
        print_json("info", _content(folder, about, manifest))
        return
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
        ("modalities", ", ".join(about.modalities) or "not needed"),
        ("experts", ", ".join(about.experts) or "one model for all"),
        ("model hash", about.model_hash),
        *_manifest_rows(manifest),
        ("engine", f"medsam-engine {__version__}, kernels {kernels_in_words()}"),
        ("backend", f"{about.backend}, {about.device}"),
        ("precision auto", in_words(about)),
    ]
    for name, value in rows:
        table.add_row(plain(name), plain(value))
    console = Console()
    console.print(table)
    if about.certificates:
        console.print(_certificate_table(about.certificates, manifest))
    else:
        console.print("No certificates: this bundle runs in f32 (docs/precision.md).")


def _content(folder: Path, about: EngineInfo, manifest: dict[str, Any]) -> dict[str, Any]:
    """What --json prints: the same facts; `auto` is what --precision auto chooses on this machine."""
    engine = engine_object(about, certificate_in_force(about))
    return {
        "bundle": folder,
        "family": engine.pop("family"),
        "model_hash": engine.pop("model_hash"),
        "profile": engine.pop("profile"),
        "input_size": about.input_size,
        "embedding_shape": about.embedding_shape,
        "low_res_logits_shape": about.mask_shape,
        "trained_prompts": about.trained_prompts,
        "trained_prompts_stated": about.trained_prompts_stated,
        "accepts": {"points": about.accepts_points, "mask": about.accepts_mask, "scribble": about.accepts_scribble},
        "modalities": about.modalities,
        "needs_modality": about.needs_modality,
        "experts": about.experts,
        "models": manifest["models"],
        "provenance": manifest.get("provenance", {}),
        "parity": manifest.get("parity", {}),
        "certificates": [certificate_object(certificate) for certificate in about.certificates],
        "auto": engine,
        "kernels": simd_target(),
    }
