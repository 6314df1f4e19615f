# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a wheel must and must not hold: ``check_wheel.py WHEEL``. Prints its tags and sizes in one line.

One thin module beside libmedsam_engine, which needs no OpenVINO, and the plugin that does: it finds the openvino
wheel's libraries by rpath. The wheel carries none of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

THIN = 1 << 20  # bytes; the module was 0.6 MB and the library 3 MB
FOREIGN = re.compile(r"lib(openvino|tbb)")
PLUGIN = "medsam_engine/lib/libmedsam_engine_openvino.so"
NEEDS_OPENVINO = re.compile(r"NEEDED.*libopenvino\.so\.\d+")
RPATH = "$ORIGIN/../../openvino/libs"


def fail(wheel: Path, got: str, expected: str) -> None:
    """Ends the program with a line."""
    sys.exit(f"{wheel.name}: got {got}, expected {expected}; see scripts/release/wheel_parts.sh and python/bindings")


def dynamic_section(library: Path) -> str:
    """What the loader reads of a shared library."""
    return subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout


def main(wheel: Path) -> None:
    """The command."""
    tags = wheel.stem.split("-", 2)[2]
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        modules = [name for name in sizes if re.fullmatch(r"medsam_engine/_core\.[\w-]+\.so", name)]
        libraries = [name for name in sizes if re.fullmatch(r"medsam_engine/lib/libmedsam_engine\.so\.[\d.]+", name)]
        if len(modules) != 1 or len(libraries) != 1:
            fail(wheel, f"{modules} and {libraries}", "one module and one library")
        if sizes[modules[0]] > THIN:
            fail(wheel, f"a module of {sizes[modules[0]]} bytes", f"at most {THIN}, the library apart")
        interpreter = tags.split("-")[0].removeprefix("cp")
        if f"cpython-{interpreter}-" not in modules[0]:
            fail(wheel, modules[0], f"a module for {tags.split('-')[0]}")
        carried = [name for name in sizes if FOREIGN.match(Path(name).name)]
        if carried:
            fail(wheel, str(carried), "no library of the openvino wheel")
        for name in (modules[0], libraries[0]):
            if NEEDS_OPENVINO.search(dynamic_section(Path(archive.extract(name, folder)))):
                fail(wheel, f"{name} that needs OpenVINO", "the plugin alone to need it")
        if PLUGIN not in sizes:
            fail(wheel, "no OpenVINO plugin", PLUGIN)
        section = dynamic_section(Path(archive.extract(PLUGIN, folder)))
        if not NEEDS_OPENVINO.search(section) or RPATH not in section:
            fail(wheel, "a plugin that does not find OpenVINO", f"an rpath with {RPATH}")
    megabytes = [f"{size / 1e6:.1f} MB" for size in (wheel.stat().st_size, sizes[modules[0]], sizes[libraries[0]])]
    print("{}: wheel {}, module {}, library {}".format(tags, *megabytes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
