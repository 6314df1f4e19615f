# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What names a model by its content: the twin of ModelFile::content_hash() in cpp/src/bundle/model_file.cpp."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def content_hash(entry: Mapping[str, Any]) -> str:
    """The hash of a model of a manifest, over its data files' hashes, sizes and names where it has some."""
    data = entry.get("data", ())
    if not data:
        return str(entry["sha256"])
    lines = [entry["sha256"], *(f"{file['sha256']} {file['bytes']} {file['file']}" for file in data)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
