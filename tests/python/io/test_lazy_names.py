# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `import medsam_engine` brings into a process that hands over arrays, and what it leaves for later."""

import subprocess
import sys

import pytest

from medsam_engine import io
from medsam_engine.base.lazy_names import lazy_names


def loaded_by(statement: str) -> set[str]:
    """The modules of a new process after `statement`."""
    words = [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"]
    return set(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())


def test_the_engine_comes_without_file_formats_and_command() -> None:
    loaded = loaded_by("import medsam_engine")
    assert not {name for name in loaded if name.startswith(("medsam_engine.io.dicom", "medsam_engine.cli"))}
    heavy = {"PIL", "SimpleITK", "pydicom", "highdicom", "typer", "rich", "tempfile", "importlib.metadata", "openvino"}
    # What NumPy itself imports is not ours to leave out.
    assert not (loaded & heavy) - loaded_by("import numpy")


def test_the_engine_comes_without_openvino() -> None:
    text = "import medsam_engine\nassert 'libopenvino' not in open('/proc/self/maps').read()"
    assert "medsam_engine" in loaded_by(text)


def test_every_public_name_of_io_is_there() -> None:
    for name in io.__all__:
        assert getattr(io, name).__module__.startswith("medsam_engine.io."), name
        assert name in dir(io)
    assert "MedicalImage" in loaded_by("from medsam_engine.io import *\nsys.modules.update(dict.fromkeys(globals()))")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lazy_names("medsam_engine.io", {})("nothing")
    with pytest.raises(ImportError, match="nothing"):
        exec("from medsam_engine.io import nothing", {})
