# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Compares what libmedsam_engine.so exports with what it should, so that the ABI changes only on purpose.

``check_symbols.py LIBRARY``, which may be a DLL: the C API's functions must be those of
``cpp/medsam_c_symbols.txt``, all declared in ``medsam.h`` and the headers that it includes, and all used by a test;
every other exported symbol must belong to a class or function that a public C++ header declares.
``check_symbols.py --plugin LIBRARY``: it exports its entry point and nothing else. Prints one line per fault; exits 1
if any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADERS = ROOT / "cpp" / "include" / "medsam"
PLUGIN_HEADER = ROOT / "cpp" / "src" / "backends" / "plugin.hpp"
LIST = ROOT / "cpp" / "medsam_c_symbols.txt"
CPP_SYMBOL = re.compile(r"(?:(?:typeinfo|typeinfo name|vtable) for )?medsam::(\w+)")


def exported(library: str) -> list[str]:
    """Returns the dynamic symbols that the library defines, demangled."""
    if library.endswith(".dll"):
        headers = subprocess.run(["objdump", "--private-headers", library], capture_output=True, text=True, check=True)
        # The export table's last part has a line "[  12] name" for each.
        table = headers.stdout.partition("[Ordinal/Name Pointer] Table")[2].partition("\n\n")[0]
        names = re.findall(r"^\s*\[\s*\d+\] (\S+)$", table, re.MULTILINE)
        listed = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    else:
        listed = subprocess.run(
            ["nm", "--dynamic", "--defined-only", "--demangle", "--format=just-symbols", library],
            capture_output=True,
            text=True,
            check=True,
        )
    return [line for line in listed.stdout.splitlines() if line]


def public_names() -> set[str]:
    """Returns the classes and functions that the public C++ headers export."""
    names: set[str] = set()
    for header in HEADERS.glob("*.hpp"):
        text = header.read_text()
        names |= set(re.findall(r"class MEDSAM_ENGINE_EXPORT (\w+)", text))
        names |= set(re.findall(r"MEDSAM_ENGINE_EXPORT [^;{]*?\b(\w+)\(", text))
    return names


def faults(library: str) -> Iterator[str]:
    """Yields what is wrong."""
    wanted = LIST.read_text().split()
    if wanted != sorted(set(wanted)):
        yield f"{LIST.name}: not sorted, or a name twice"
    symbols = exported(library)
    c_symbols = {name for name in symbols if name.startswith("medsam_")}
    headers = "".join(path.read_text() for path in sorted(HEADERS.glob("medsam*.h")))
    declared = set(re.findall(r"MEDSAM_API [^;]*?\b(medsam_\w+)\(", headers))
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests" / "cpp").rglob("*c_api*.*")))
    for name in sorted(set(wanted) | c_symbols | declared):
        if name not in wanted:
            yield f"{name}: not in {LIST.name}; a new function is added there, too"
        if name not in c_symbols:
            yield f"{name}: not exported; the C API loses no function within a minor version"
        if name not in declared:
            yield f"{name}: not declared in medsam.h or a header that it includes"
        if not re.search(rf"\b{name}\b", tests):
            yield f"{name}: no test of tests/cpp/*c_api* names it"
    names = public_names()
    for symbol in sorted(set(symbols) - c_symbols):
        match = CPP_SYMBOL.match(symbol)
        if not match or match[1] not in names:
            yield f"{symbol}: exported, and no public header declares it"


def plugin_faults(library: str) -> Iterator[str]:
    """Yields what is wrong with a plugin."""
    [entry] = re.findall(r'kPluginEntry = "(\w+)"', PLUGIN_HEADER.read_text())
    symbols = exported(library)
    if entry not in symbols:
        yield f"{entry}: not exported; the engine opens a plugin by it"
    for symbol in sorted(set(symbols) - {entry}):
        yield f"{symbol}: exported, and a plugin has its entry point alone"


def main() -> int:
    """Checks the library named on the command line."""
    library = sys.argv[-1]
    found = list(plugin_faults(library) if sys.argv[1] == "--plugin" else faults(library))
    for fault in found:
        print(fault)
    print(f"check_symbols: {len(exported(library))} symbols exported, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
