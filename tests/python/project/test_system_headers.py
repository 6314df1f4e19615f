# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The operating system's headers (scripts/checks/check_sources.py): outside the platform room one fails `make lint`."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts" / "checks"))
import check_sources


def found(name: str, header: str) -> list[str]:
    errors = check_sources.cpp_errors(name, ["// Licensed under Apache-2.0", f"#include {header}"])
    return [error for error in errors if "see the system" in error]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cpp/src/base/whole_file.cpp", "<unistd.h>"),
        ("cpp/src/npz/abandoned.cpp", "<sys/file.h>"),
        ("cpp/src/backends/native/thread_pool.hpp", "<sched.h>"),
        ("cpp/src/backends/plugin.cpp", "<dlfcn.h>"),
        ("cpp/src/base/memory_limit.cpp", "<Windows.h>"),
        ("cpp/src/platform/file.hpp", "<fcntl.h>"),
        ("kernels/encoder/block_product.cpp", "<sys/syscall.h>"),
        ("python/bindings/bind_engine.cpp", "<pthread.h>"),
        ("cpp/include/medsam/engine.hpp", "<sys/types.h>"),
        ("cpp/apps/terminal.cpp", "<unistd.h>"),
    ],
)
def test_the_system_is_seen_in_one_room(name: str, header: str) -> None:
    assert found(name, header) == [
        f"{name}:2: only the platform room's *_posix.cpp, *_wasm.cpp and *_windows.cpp see the system, got {header}"
    ]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cpp/src/platform/file_posix.cpp", "<sys/stat.h>"),
        ("cpp/src/platform/file_windows.cpp", "<windows.h>"),
        ("cpp/src/platform/program_windows.cpp", "<shellapi.h>"),
        ("cpp/src/platform/memory_wasm.cpp", "<unistd.h>"),
        ("cpp/src/backends/processor.cpp", "<cpuid.h>"),
        ("cpp/src/base/edge.hpp", "<exception>"),
        ("tests/cpp/base/test_whole_file.cpp", "<sys/file.h>"),
    ],
)
def test_what_is_allowed(name: str, header: str) -> None:
    assert not found(name, header)


def test_every_source_of_the_room_has_its_counterpart() -> None:
    """A header that one system alone implements would not link on the other.

    What only Windows needs has a header of its own, NAME_windows.hpp.
    """
    room = ROOT / "cpp" / "src" / "platform"
    posix = {path.name.removesuffix("_posix.cpp") for path in room.glob("*_posix.cpp")}
    windows = {path.name.removesuffix("_windows.cpp") for path in room.glob("*_windows.cpp")}
    own = {path.name.removesuffix("_windows.hpp") for path in room.glob("*_windows.hpp")}
    assert posix == windows - own
    assert posix == {path.name.removesuffix(".hpp") for path in room.glob("*.hpp")} - {
        f"{name}_windows" for name in own
    }
