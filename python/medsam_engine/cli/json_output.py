# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`--json`: prints one JSON object, and nothing else, on standard output. docs/json.md lists its fields."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from medsam_engine import CertificateInfo, EngineInfo, __version__

SCHEMA = 1

Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as one JSON object on standard output; everything else goes to standard error.",
        rich_help_panel="Output",
    ),
]


def plain_values(value: Any) -> Any:
    """`value` in JSON's types: paths become text, NaN and infinity null, NumPy's numbers and arrays Python's."""
    if isinstance(value, Mapping):
        return {str(name): plain_values(item) for name, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain_values(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_values(item) for item in value]
    return value


def json_text(command: str, content: Mapping[str, Any]) -> str:
    """The JSON object of a command, in ASCII, so that no name in it can control a terminal."""
    head = {"schema": SCHEMA, "command": command, "version": __version__}
    return json.dumps(plain_values({**head, **content}), indent=1, allow_nan=False)


def print_json(command: str, content: Mapping[str, Any]) -> None:
    """Prints the JSON object of a command. Call it last, when nothing can fail any more."""
    typer.echo(json_text(command, content))


def certificate_object(certificate: CertificateInfo | None) -> dict[str, Any] | None:
    """A certificate as a JSON object; None, which becomes null, if there is none."""
    if certificate is None:
        return None
    names = ("precision", "encoder", "decoder", "origin", "images", "agreement_mean", "agreement_worst", "obstacle")
    return {name: getattr(certificate, name) for name in names}


def engine_object(info: EngineInfo, certificate: CertificateInfo | None) -> dict[str, Any]:
    """The fields that describe the engine that ran."""
    return {
        "family": info.family,
        "model_hash": info.model_hash,
        "profile": info.profile,
        "precision": {
            "name": info.precision,
            "encoder": info.encoder_precision,
            "decoder": info.decoder_precision,
            "certificate": certificate_object(certificate),
        },
        "device": info.device,
        "backend": info.backend,
        "threads": info.threads,
        "tuned": info.tuned,
    }
