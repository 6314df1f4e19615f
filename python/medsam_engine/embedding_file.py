# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Embeddings as files, which contain their geometry, the fingerprint of the model, a schema number and a digest."""

import os
from pathlib import Path

from medsam_engine._core import ImageEmbedding
from medsam_engine.base.whole_file import write_atomically
from medsam_engine.io.input_file import read_input


def save_embedding(embedding: ImageEmbedding, path: str | os.PathLike[str]) -> None:
    """Writes `embedding`, completely or not at all.

    The file contains the image in encoded form: protect it as you protect the image.

    Raises:
        InvalidArgument: the file cannot be written.
    """
    write_atomically(Path(path), embedding.to_bytes())


def load_embedding(path: str | os.PathLike[str]) -> ImageEmbedding:
    """Reads a file of save_embedding. Whether an engine may use the embedding is checked when it is used.

    Raises:
        InvalidArgument: the file cannot be read.
        ModelError: the file is damaged or of an unknown version.
    """
    return ImageEmbedding.from_bytes(read_input(path, "embedding"))
