# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Fuzzes the reader of torch.save's files with atheris: ``fuzz_checkpoint.py CORPUS [libFuzzer's flags]``.

scripts/run/fuzz.sh runs it. An input is a whole file, or, behind the byte P, the pickle of a file whose ZIP archive is
sound. Either gives arrays that are no larger than the file, or one ExportError in one printable line.
"""

from __future__ import annotations

import io
import resource
import sys
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["medsam_engine_tools.export", "pickletools", "zipfile"]):
    import numpy as np

    from medsam_engine_tools.errors import ExportError
    from medsam_engine_tools.export.state_dict import unwrap
    from medsam_engine_tools.export.torch_file.reader import content_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/python/support"))
from torch_zip import mapping, number, pickled, storage, tensor, text

MEMORY = 4 << 30  # of the address space
NUMBERS = np.arange(8, dtype=np.float32).tobytes()
PICKLE = b"P"  # no ZIP file begins with it alone


def archive(pickle: bytes) -> bytes:
    """A file of torch.save with this pickle and two storages."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as members:
        members.writestr("archive/data.pkl", pickle)
        members.writestr("archive/byteorder", b"little")
        for key in "01":
            members.writestr(f"archive/data/{key}", NUMBERS)
    return out.getvalue()


def seeds() -> list[bytes]:
    """A state dict, bare and wrapped, and one of bfloat16."""
    one = tensor(storage("0", 8), (2, 3), (3, 1), 1)
    two = tensor(storage("1", 16, "BFloat16Storage"), (4, 2), (1, 4))
    plain = pickled(mapping({"module.a": one, "module.b": two}))
    wrapped = pickled(
        mapping({"model": mapping({"a": one}), "epoch": number(3), "name": text("x"), "list": b"](NK\x01\x88e"})
    )
    return [PICKLE + plain, PICKLE + wrapped, archive(plain)]


def check(content: bytes) -> None:
    """One input; an exception of another kind is a finding."""
    file = archive(content[1:]) if content[:1] == PICKLE and content[:2] != b"PK" else content
    try:
        arrays = unwrap(content_of(io.BytesIO(file)), np.ndarray)
    except ExportError as error:
        if not str(error).isprintable():
            message = f"finding: an error in more than one line: {error!r}"
            raise RuntimeError(message) from error
        return
    for array in arrays.values():
        if array.nbytes > 2 * len(file):  # bfloat16 becomes f32
            message = f"finding: {array.nbytes} bytes of a file of {len(file)}"
            raise RuntimeError(message)
        array.sum()  # every number can be read


def main() -> None:
    """Runs until libFuzzer's flags end it."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for i, content in enumerate(seeds()):
            (corpus / f"seed{i}").write_bytes(content)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    np.seterr(all="ignore")
    atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
