# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""An engine option is stated in C++, C, the bindings and Python, and all state the same (CONTRIBUTING)."""

import inspect
import re
from pathlib import Path

import medsam_engine
from medsam_engine import _core

HEADERS = Path(__file__).resolve().parents[3] / "cpp" / "include" / "medsam"
NOT_IN_PYTHON = {"log"}  # its messages become those of the logging module
NOT_IN_CPP = {"size", "reserved", "log_context"}  # what a C struct needs


def fields(header: str, start: str) -> set[str]:
    """Returns the names of a struct's fields, whose last word before `;` or `=` is the name."""
    text = (HEADERS / header).read_text()
    body = text[text.index(start) :]
    body = re.sub(r"//.*", "", body[: body.index("\n}")].split("{", 1)[1])
    return set(re.findall(r"(\w+)\s*(?:=[^;]*)?;", body))


CPP = fields("options.hpp", "struct EngineOptions {")


def test_the_c_struct_has_the_fields_of_the_class() -> None:
    assert fields("medsam_types.h", "typedef struct medsam_engine_options {") - NOT_IN_CPP == CPP


def test_the_binding_and_the_class_have_their_parameters() -> None:
    bound = set(re.findall(r"(\w+): ", _core.Engine.__init__.__doc__ or "")) - {"self", "bundle"}
    public = set(inspect.signature(medsam_engine.Engine).parameters) - {"bundle"}
    assert bound == public == CPP - NOT_IN_PYTHON
