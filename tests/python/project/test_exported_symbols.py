# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What is exported on macOS is what is exported on Linux: its linker has a list of its own, of mangled names."""

import re
from pathlib import Path

import pytest

CPP = Path(__file__).parents[3] / "cpp"
# As the Itanium ABI mangles them (5.1): functions and their constant forms, and what belongs to a class.
MANGLED = {
    "medsam::*": {"__ZN6medsam*", "__ZNK6medsam*"},
    "typeinfo?for?medsam::*": {"__ZTIN6medsam*"},
    "typeinfo?name?for?medsam::*": {"__ZTSN6medsam*"},
    "vtable?for?medsam::*": {"__ZTVN6medsam*"},
}


@pytest.mark.parametrize("name", ["medsam_engine", "medsam_engine_plugin"])
def test_both_lists_say_the_same(name: str) -> None:
    script = (CPP / f"{name}.map").read_text(encoding="ascii")
    exported = script.partition("global:")[2].partition("local:")[0]
    wanted: set[str] = set()
    for pattern in re.findall(r"^\s+([\w?:*]+);$", exported, re.MULTILINE):
        wanted |= MANGLED.get(pattern, {f"_{pattern}"})
    lines = (CPP / f"{name}.exp").read_text(encoding="ascii").splitlines()
    assert {line for line in lines if not line.startswith("#")} == wanted
    assert wanted
