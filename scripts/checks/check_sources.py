# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Checks the rules that no linter knows: who may include whom, file length, ASCII, the license line.

The rules are CONTRIBUTING.md's ("Dependency rules"). Prints a line ``path:line: what`` per violation; exits 1 if any.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from python_rooms import SOURCES
from python_rooms import room_errors as python_room_errors

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 350
CPP = {".c", ".cpp", ".hpp", ".h", ".cu", ".cuh"}
CODE = CPP | {".py", ".pyi", ".sh", ".cmake"}

STD = r"<[a-z_0-9]+>"  # the standard library's headers have neither a folder nor a suffix
INCLUDE = re.compile(r'^\s*#\s*include\s+(<[^>]+>|"[^"]+")')
# The operating system's headers, POSIX's and Windows'; `csignal` and the like are the language's.
SYSTEM = re.compile(
    r"<(?:(?:sys|mach|linux)/.+|unistd|fcntl|sched|pthread|dlfcn|spawn|poll|pwd|grp|dirent|termios|link|signal|crt_externs"
    r"|io|direct|process|windows|shellapi|winsock2|ws2tcpip|aclapi|sddl|bcrypt|psapi|shlobj)\.h>",
    re.IGNORECASE,
)
SYSTEM_FOLDERS = ("cpp/apps/", "cpp/include/", "cpp/src/", "kernels/", "python/bindings/")
SYSTEM_SOURCE = re.compile(r"cpp/src/platform/\w+_(?:posix|wasm|windows)\.[ch]pp")
VENDOR = re.compile(r'[<"](openvino/|NvInfer|NvOnnx|cuda|tensorrt)')


class IncludeRule(NamedTuple):
    """Files under `folder` may include only what one of the patterns matches (fully).

    A C header (`.h` under `cpp/include`) has rules of its own, since C cannot read C++'s.
    """

    folder: str
    allowed: tuple[str, ...]
    why: str
    suffix: str = ""  # of the files it is for; "" = all but C headers


# Quoted includes are resolved: an include of a file beside the including one is checked by where it lies (see `local`).
INCLUDE_RULES = (
    IncludeRule("cpp/include/medsam", (STD, r'"medsam/\w+\.hpp"'), "public headers include only each other and std"),
    IncludeRule(
        "cpp/include/medsam", (r"<std(?:def|int)\.h>", r'"medsam/\w+\.h"'), "the C API's headers are plain C", ".h"
    ),
    IncludeRule(
        "kernels",
        (
            STD,
            r"<(?:immintrin|cpuid|arm_neon)\.h>",
            r"<cuda[\w/]*\.h>",
            r'["<]hwy/[\w/.-]+[">]',
            r'"kernels/[\w/.-]+"',
            "local",
        ),
        "kernels depend on std, Highway and the processor only",
    ),
    IncludeRule(
        "python/bindings",
        (STD, r'"medsam/\w+\.hpp"', r"<pybind11/[\w/]+\.h>", r"<Python\.h>", "local"),
        "bindings include only public headers and pybind11",
    ),
)

# The rooms of cpp/src from the lowest to the highest (cpp/src/README.md says what each is for). A file includes headers
# of its own room and of lower ones only; rooms on one line do not know each other.
ROOMS = (
    ("platform",),
    ("base",),
    ("bundle",),
    ("image",),
    ("window",),
    ("backends",),
    ("precision",),
    ("embedding",),
    ("prompt",),
    ("model",),
    ("volume",),
    ("engine",),
    ("session",),
    ("npz", "c_api"),
)
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}

# JSON is for the sources that parse: its headers, 50 000 lines, would reach nearly every source through a bundle's.
JSON_HEADER = re.compile(r"<nlohmann/|\"(?:base/json_reader|bundle/\w+_parser)\.hpp\"")
JSON_HEADERS = re.compile(r"cpp/src/(?:base/json_reader|bundle/\w+_parser)\.hpp")

# A library neither prints nor ends the process.
FORBIDDEN_CALLS = re.compile(
    r"\b(?:std::)?(?:cout|cerr|clog)\b|\b(?:std::)?(?:printf|fprintf|puts|perror|abort|exit|_exit|quick_exit|terminate)\s*\("
)
QUIET_FOLDERS = ("cpp/include/", "cpp/src/", "kernels/", "python/bindings/")

# What `import medsam_engine` must never pull in; medsam_engine_tools only inside the CLI's functions.
FORBIDDEN_IMPORTS = {"torch", "torchvision", "onnx", "onnxscript", "openvino", "transformers", "nncf"}
LAZY_IMPORTS = {"medsam_engine_tools", "typer", "rich", "PIL", "SimpleITK", "pydicom", "highdicom", "matplotlib"}
LAZY_EXEMPT = ("python/medsam_engine/cli/", "python/medsam_engine/io/")  # neither is imported by the package itself


def tracked() -> list[str]:
    """Returns the repository's files: tracked, and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({name for name in listed.stdout.splitlines() if (ROOT / name).is_file()})


def without_comments(line: str) -> str:
    """Returns a C++ line without string contents and ``//`` comments: enough to find a call."""
    return re.sub(r"//.*", "", re.sub(r'"(?:[^"\\]|\\.)*"', '""', line))


def c_header(name: str) -> bool:
    """Returns whether the file is a header of the C API."""
    return name.startswith("cpp/include/") and name.endswith(".h")


def room_errors(name: str, number: int, header: str) -> Iterator[str]:
    """Yields what is wrong with one include of a file below cpp/src as regards the order of the rooms."""
    room = PurePosixPath(name).parts[2]
    if len(PurePosixPath(name).parts) == 3 or room not in LEVELS:
        yield f"{name}:{number}: a source lies in one of the rooms of cpp/src, {', '.join(LEVELS)}"
        return
    included = header.strip('"').split("/")[0]
    if included in LEVELS and included != room and LEVELS[included] >= LEVELS[room]:
        yield f"{name}:{number}: {room} includes only lower rooms (ROOMS in check_sources.py), got {header}"
    elif (
        header.startswith('"') and included not in (*LEVELS, "medsam", "kernels") and not header.startswith('"builtin_')
    ):
        yield f'{name}:{number}: an include names its room, as in "base/sha256.hpp", got {header}'


def include_errors(name: str, number: int, header: str) -> Iterator[str]:
    """Yields what is wrong with one include of a C++ file."""
    where = PurePosixPath(name)
    in_backends = name.startswith("cpp/src/backends/")
    # The engine includes these two of a backend's headers (below), so no vendor's type may be in them.
    may_see_vendor = (in_backends and where.name not in ("backend.hpp", "registry.hpp")) or name.startswith(
        ("kernels/pixels/cuda/", "tests/", "benchmarks/compare/baselines/")
    )
    if VENDOR.match(header) and not may_see_vendor:
        yield f"{name}:{number}: only a backend's own files include a vendor's header, got {header}"
    if SYSTEM.fullmatch(header) and name.startswith(SYSTEM_FOLDERS) and not SYSTEM_SOURCE.fullmatch(name):
        sources = "*_posix.cpp, *_wasm.cpp and *_windows.cpp"
        yield f"{name}:{number}: only the platform room's {sources} see the system, got {header}"
    if name.startswith("cpp/src/"):
        yield from room_errors(name, number, header)
        if where.suffix == ".hpp" and not JSON_HEADERS.fullmatch(name) and JSON_HEADER.match(header):
            yield f"{name}:{number}: a header declares no JSON; what parses includes it, got {header}"
    neutral = re.search(r"backends/(backend|registry)\.hpp", header)
    if name.startswith("cpp/src/") and not in_backends and "backends/" in header and not neutral:
        yield f"{name}:{number}: the engine sees backend.hpp and registry.hpp only, got {header}"
    for rule in INCLUDE_RULES:
        if not name.startswith(rule.folder + "/") or rule.suffix != (".h" if c_header(name) else ""):
            continue
        local = header.startswith('"') and (ROOT / where.parent / header.strip('"')).resolve().is_relative_to(
            ROOT / rule.folder
        )
        exists = local and (ROOT / where.parent / header.strip('"')).is_file()
        if not (("local" in rule.allowed and exists) or any(re.fullmatch(p, header) for p in rule.allowed)):
            yield f"{name}:{number}: {rule.why}, got {header}"


def cpp_errors(name: str, lines: list[str]) -> Iterator[str]:
    """Yields the violations of a C++ file."""
    for number, line in enumerate(lines, 1):
        if match := INCLUDE.match(line):
            yield from include_errors(name, number, match[1])
        elif name.startswith(QUIET_FOLDERS) and FORBIDDEN_CALLS.search(without_comments(line)):
            yield f"{name}:{number}: the library neither prints nor ends the process: {line.strip()}"
    if name.startswith("cpp/include/medsam/") and not name.endswith(("export.h", "export.hpp")):
        for number, line in enumerate(lines, 1):
            if re.match(r"\s*#\s*if", line):
                yield f"{name}:{number}: a public header holds no #if; what it declares must not depend on the build"


def imported(node: ast.AST) -> list[str]:
    """Returns the top-level names that an import statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module.split(".")[0]]
    return []


def python_errors(name: str, text: str) -> Iterator[str]:
    """Yields the forbidden imports of a file of the run-time package or the tools."""
    tree = ast.parse(text)
    inside = {child for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for child in ast.walk(node)}
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    yield from python_room_errors(name, tree, typing_only, ROOT)
    if not name.startswith("python/"):
        return
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        for module in imported(node):
            line = getattr(node, "lineno", 0)
            if module in FORBIDDEN_IMPORTS:
                yield f"{name}:{line}: the package never imports {module}; it belongs into tools/"
            if module in LAZY_IMPORTS and node not in inside and not name.startswith(LAZY_EXEMPT):
                yield f"{name}:{line}: import {module} inside the function that needs it; it is optional"


def errors(name: str) -> Iterator[str]:
    """Yields every violation of one file."""
    suffix = PurePosixPath(name).suffix
    data = (ROOT / name).read_bytes()
    if b"\0" in data[:4096]:
        return  # binary
    if not data.isascii():
        number = next(n for n, line in enumerate(data.splitlines(), 1) if not line.isascii())
        yield f"{name}:{number}: text is ASCII here"
    lines = data.decode(errors="replace").splitlines()
    if suffix in CODE:
        if len(lines) > MAX_LINES and suffix != ".pyi":  # a stub is as long as the module it describes
            yield f"{name}:{len(lines)}: longer than {MAX_LINES} lines; is it one idea?"
        if suffix != ".cmake" and not any("Licensed under Apache-2.0" in line for line in lines[:3]):
            yield f"{name}:1: the license line is missing (Copyright (c) medsam-engine contributors. Licensed ...)"
    if suffix in CPP:
        yield from cpp_errors(name, lines)
    if name.startswith(tuple(SOURCES)) and suffix == ".py":
        yield from python_errors(name, "\n".join(lines))


def main() -> int:
    """Checks the whole repository."""
    names = tracked()
    found = [error for name in names for error in errors(name)]
    for error in found:
        print(error)
    print(f"check_sources: {len(names)} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
