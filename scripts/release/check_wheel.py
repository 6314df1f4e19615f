# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a wheel must and must not hold: ``check_wheel.py WHEEL [core]``. Prints its tags and sizes in one line.

One thin module beside libmedsam_engine, which needs no OpenVINO, and the plugin that does: it finds the openvino
wheel's libraries by rpath. The wheel carries none of them, and nothing in it needs a newer glibc than its tag says.
core: there is no plugin, and nothing needs any library but glibc's. On Windows there is no plugin yet, and the library
is a DLL that needs nothing but the system's.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

THIN = 1 << 20  # bytes; the module was 0.6 MB and the library 3 MB
FOREIGN = re.compile(r"(lib)?(openvino|tbb)")
PLUGIN = "medsam_engine/lib/libmedsam_engine_openvino.so"
NEEDS_OPENVINO = re.compile(r"NEEDED.*libopenvino\.so\.\d+")
RPATH = "$ORIGIN/../../openvino/libs"
GLIBC = re.compile(r"(lib(c|m|dl|pthread|rt)|ld-linux-aarch64)\.so\.\d+")


# On Windows, where a module has the runtime of C++ inside; it was 1.2 MB and the DLL 4 MB.
THIN_WINDOWS = 3 << 19
DLL = "medsam_engine/bin/medsam_engine.dll"
SYSTEM_DLL = re.compile(r"(api-ms-win-[\w-]+|kernel32|ntdll|advapi32|bcrypt|shell32|ucrtbase)\.dll", re.IGNORECASE)


def fail(wheel: Path, got: str, expected: str) -> None:
    """Ends the program with a line."""
    sys.exit(f"{wheel.name}: got {got}, expected {expected}; see scripts/release/wheel_parts.sh and python/bindings")


def dynamic_section(library: Path) -> str:
    """What the loader reads of a shared library."""
    return subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout


def needed_dlls(library: Path) -> list[str]:
    """The names of the DLLs that a DLL, a module or a program of Windows needs, but for the system's."""
    headers = subprocess.run(["objdump", "--private-headers", str(library)], check=True, capture_output=True, text=True)
    names: list[str] = re.findall(r"^\s*DLL Name: (\S+)$", headers.stdout, re.MULTILINE)
    return [name for name in names if SYSTEM_DLL.fullmatch(name) is None]


def check_windows(wheel: Path, module: str, archive: zipfile.ZipFile, folder: str) -> None:
    """The module needs its Python and the library, the programs the library beside them, and the library nothing."""
    interpreter = re.sub(r".*\.cp(\d+)-win_amd64\.pyd", r"python\1.dll", module)
    programs = [f"medsam_engine/bin/{name}.exe" for name in ("medsam-npz", "medsam-trial")]
    own = Path(DLL).name
    for name, expected in (
        (DLL, []),
        (module, sorted([own, interpreter])),
        *((program, [own]) for program in programs),
    ):
        needed = needed_dlls(Path(archive.extract(name, folder)))
        if sorted(needed) != expected:
            fail(wheel, f"{name} that needs {needed}", f"{expected} and the system's")


def newest_glibc(file: Path) -> tuple[int, int]:
    """The newest version of glibc whose symbols a program or library asks for."""
    needs = subprocess.run(["readelf", "--version-info", str(file)], check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", needs)
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def check_glibc(wheel: Path, programs: dict[str, Path], tags: str) -> None:
    """No program or library needs a newer glibc than the oldest that the wheel's tag admits."""
    promised = min((int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", tags))
    for name, file in programs.items():
        if newest_glibc(file) > promised:
            fail(wheel, f"{name} that needs glibc {newest_glibc(file)}", f"at most {promised}, as the tag says")


def check_core(wheel: Path, programs: dict[str, Path], library: str) -> None:
    """Nothing needs more than glibc and the library itself."""
    if PLUGIN in programs:
        fail(wheel, "the OpenVINO plugin", "none, since nothing beside the wheel is needed")
    for name, file in programs.items():
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic_section(file))) - {Path(library).name}
        foreign = sorted(one for one in needed if GLIBC.fullmatch(one) is None)
        if foreign:
            fail(wheel, f"{name} that needs {foreign}", "nothing that is needed but glibc")


def check_linux(wheel: Path, names: tuple[str, str], programs: dict[str, Path]) -> None:
    """The plugin alone needs OpenVINO, and finds it."""
    for name in names:
        if NEEDS_OPENVINO.search(dynamic_section(programs[name])):
            fail(wheel, f"{name} that needs OpenVINO", "the plugin alone to need it")
    if PLUGIN not in programs:
        fail(wheel, "no OpenVINO plugin", PLUGIN)
    section = dynamic_section(programs[PLUGIN])
    if not NEEDS_OPENVINO.search(section) or RPATH not in section:
        fail(wheel, "a plugin that does not find OpenVINO", f"an rpath with {RPATH}")


def extracted(archive: zipfile.ZipFile, folder: str) -> dict[str, Path]:
    """The programs and libraries of Linux, by their names in the wheel."""
    files = {}
    for name in archive.namelist():
        with archive.open(name) as file:
            magic = file.read(4)
        if magic == b"\x7fELF":
            files[name] = Path(archive.extract(name, folder))
    return files


def main(wheel: Path, core: bool) -> None:
    """The command."""
    tags = wheel.stem.split("-", 2)[2]
    windows = tags.endswith("win_amd64")
    module = r"medsam_engine/_core\.[\w-]+\.pyd" if windows else r"medsam_engine/_core\.[\w-]+\.so"
    library = re.escape(DLL) if windows else r"medsam_engine/lib/libmedsam_engine\.so\.[\d.]+"
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        modules = [name for name in sizes if re.fullmatch(module, name)]
        libraries = [name for name in sizes if re.fullmatch(library, name)]
        if len(modules) != 1 or len(libraries) != 1:
            fail(wheel, f"{modules} and {libraries}", "one module and one library")
        most = THIN_WINDOWS if windows else THIN
        if sizes[modules[0]] > most:
            fail(wheel, f"a module of {sizes[modules[0]]} bytes", f"at most {most}, the library apart")
        interpreter = tags.split("-")[0].removeprefix("cp")
        if f".cp{interpreter}-" not in modules[0] and f"cpython-{interpreter}-" not in modules[0]:
            fail(wheel, modules[0], f"a module for {tags.split('-')[0]}")
        carried = [name for name in sizes if FOREIGN.match(Path(name).name)]
        if carried:
            fail(wheel, str(carried), "no library of the openvino wheel")
        if windows:
            check_windows(wheel, modules[0], archive, folder)
        else:
            programs = extracted(archive, folder)
            check_glibc(wheel, programs, tags)
            if core:
                check_core(wheel, programs, libraries[0])
            else:
                check_linux(wheel, (modules[0], libraries[0]), programs)
    megabytes = [f"{size / 1e6:.1f} MB" for size in (wheel.stat().st_size, sizes[modules[0]], sizes[libraries[0]])]
    print("{}: wheel {}, module {}, library {}".format(tags, *megabytes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "core" in sys.argv[2:])
