# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The machine in words."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medsam_engine._core import default_max_bytes
from medsam_engine.base.cores import load_average, usable_cores

_ISA = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16")
_AMX = ("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16")


def _cpu_fields() -> dict[str, str]:
    fields: dict[str, str] = {}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return fields
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return otherwise


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _memory() -> int:
    """Bytes of the machine's memory."""
    if sys.platform == "win32":
        return 4 * default_max_bytes()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe_machine(packages: Sequence[str] = ("openvino", "numpy")) -> dict[str, str]:
    """Processor, instruction sets, cores, governor, memory, system, versions of `packages`, how busy it is now."""
    cpu = _cpu_fields()
    flags = set(cpu.get("flags", "").split())
    family = "/".join(cpu.get(field, "?") for field in ("cpu family", "model", "stepping"))
    load = load_average()
    return {
        "processor": f"{cpu.get('model name', platform.processor())} (family/model/stepping {family})",
        "instruction sets": " ".join(flag for flag in (*_ISA, *_AMX) if flag in flags) or platform.machine(),
        "cores": f"{usable_cores()} usable of {os.cpu_count()}",
        "virtual": "yes" if "hypervisor" in flags else "no or not told",
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not readable"),
        "memory": f"{_memory() / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        **{package: _version(package) for package in packages},
        "load average (1 minute)": "not told" if load is None else f"{load:.2f}",
    }
