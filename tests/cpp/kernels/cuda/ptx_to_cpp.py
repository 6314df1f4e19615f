# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Translates the PTX that nvcc made of the CUDA kernels into C++, so that the compiled kernels run without a GPU.

Usage: ``ptx_to_cpp.py IN.ptx OUT.cpp``. An instruction becomes one call of ``ptx_machine.hpp``, a kernel a function of
one thread. Knows the instructions that these kernels are made of and no more: any other is an error that names it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# PTX's fundamental types as C++ types. Untyped bits are unsigned.
TYPES = {
    **{f"{kind}{n}": f"std::uint{n}_t" for kind in "ub" for n in (8, 16, 32, 64)},
    **{f"s{n}": f"std::int{n}_t" for n in (8, 16, 32, 64)},
    "f32": "float",
    "f64": "double",
    "pred": "bool",
}
ROUNDINGS = {"rn": "nearest", "rni": "nearest", "rzi": "zero", "rmi": "down", "rpi": "up"}
# Instructions of one result whose operands all have the instruction's type: name -> function of ptx_machine.hpp.
PLAIN = {
    "add": "add",
    "sub": "sub",
    "mul.lo": "mul",
    "mul.hi": "mul_hi",
    "mul": "mul",
    "mad.lo": "mad",
    "fma": "fma",
    "div": "div",
    "rcp": "rcp",
    "min": "min",
    "max": "max",
    "neg": "neg",
    "not": "bit_not",
    "and": "bit_and",
    "or": "bit_or",
    "xor": "bit_xor",
}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu")
ENTRY = re.compile(r"\.entry\s+(\w+)\(")
BODY_NAME = re.compile(r"runINS\d*_(\w+?)EEEvT_$")


class Unknown(Exception):
    """An instruction that the translator does not know."""


class Kernel:
    """One .entry: its lines become the body of a C++ function."""

    def __init__(self, name: str) -> None:
        """Starts the kernel with this mangled name."""
        match = BODY_NAME.search(name)
        if match is None:
            raise Unknown(f"kernel {name}")
        self.mangled = name
        self.body = match[1]  # as the C++ ABI mangles the body's type inside namespace medsam::kernels::cuda
        self.declarations: list[str] = []
        self.code: list[str] = []
        self.shuffles = False

    def operand(self, text: str) -> str:
        """Returns the C++ expression of a register, literal or symbol."""
        text = text.strip()
        if text == f"{self.mangled}_param_0":
            return "param"
        if re.fullmatch(r"0f[0-9A-Fa-f]{8}", text) or re.fullmatch(r"0d[0-9A-Fa-f]{16}", text):
            return f"0x{text[2:]}ULL"
        if re.fullmatch(r"-?\d+", text):
            return f"static_cast<std::uint64_t>({text}LL)"
        special = re.fullmatch(r"%(ctaid|ntid|tid|nctaid)\.([xy])", text)
        if special:
            return f"thread.{special[1]}_{special[2]}"
        if re.fullmatch(r"%\w+", text):
            return text.replace("%", "r_")
        if text.startswith("__local_depot"):
            return f"address_of({text})"
        raise Unknown(f"operand {text}")

    def address(self, text: str) -> str:
        """Returns the C++ expression of ``[register+offset]``."""
        match = re.fullmatch(r"\[\s*([%\w]+)(?:\+(-?\d+))?\s*\]", text.strip())
        if match is None:
            raise Unknown(f"address {text}")
        return f"{self.operand(match[1])} + static_cast<std::uint64_t>({match[2] or 0}LL)"

    def assign(self, target: str, value: str) -> None:
        """Appends ``target = value``."""
        self.code.append(f"  {self.operand(target)} = {value};")

    def instruction(self, text: str) -> None:
        """Translates one instruction without its semicolon."""
        guard = re.match(r"@(!?)(%p\d+)\s+", text)
        if guard:
            text = text[guard.end() :]
            self.code.append(f"  if ({guard[1]}{self.operand(guard[2])})")
        opcode, _, rest = text.partition(" ")
        operands = [part.strip() for part in re.findall(r"\{[^}]*\}|[^,{}]+", rest) if part.strip()]
        parts = opcode.strip().split(".")
        if parts[0] == "bra":
            self.code.append(f"  goto {label(operands[0])};")
        elif parts[0] == "ret":
            self.code.append("  return;")
        elif guard:
            raise Unknown(f"guarded {opcode}")
        elif parts[0] in ("ld", "st"):
            self.memory(parts, operands)
        elif parts[0] in ("shfl", "atom"):
            self.collective(parts, operands)
        else:
            self.arithmetic(parts, operands)

    def memory(self, parts: list[str], operands: list[str]) -> None:
        """Translates ld and st, of one element or a short vector."""
        of = TYPES[parts[-1]]
        load = parts[0] == "ld"
        values, where = (operands[0], operands[1]) if load else (operands[1], operands[0])
        elements = values.strip("{}").split(",") if values.startswith("{") else [values]
        for i, element in enumerate(elements):
            at = f"{self.address(where)} + {i} * sizeof({of})"
            if load:
                self.assign(element, f"load<{of}>({at})")
            else:
                self.code.append(f"  store<{of}>({at}, {self.operand(element)});")

    def collective(self, parts: list[str], operands: list[str]) -> None:
        """Translates shuffles and atomics."""
        if parts[:3] == ["shfl", "sync", "bfly"]:
            self.shuffles = True
            sources = ", ".join(self.operand(operand) for operand in operands[1:])
            self.assign(operands[0].split("|")[0], f"thread.exchange({sources})")
        elif parts[:2] == ["atom", "global"] and parts[2] in ("min", "max", "add", "exch"):
            value = self.operand(operands[2])
            self.assign(operands[0], f"atomic_{parts[2]}<{TYPES[parts[3]]}>({self.address(operands[1])}, {value})")
        else:
            raise Unknown(".".join(parts) + " " + ", ".join(operands))

    def arithmetic(self, parts: list[str], operands: list[str]) -> None:
        """Translates what computes one register from others."""
        name, of = parts[0], TYPES.get(parts[-1], "")
        if parts == ["mov", "b64"] and "{" in operands[0] + operands[1]:
            self.halves(operands)
            return
        floating = of in ("float", "double")
        sources = [self.operand(operand) for operand in operands[1:]]
        plain = PLAIN.get(".".join(parts[:2]) if parts[1] in ("lo", "hi") else name)
        modifiers = [part for part in parts[1:-1] if part not in ("lo", "hi")]
        if name in ("mov", "cvta"):
            self.assign(operands[0], sources[0])
        elif plain and modifiers == (["rn"] if floating and plain not in ("neg", "min", "max") else []):
            self.assign(operands[0], f"{plain}<{of}>({', '.join(sources)})")
        elif name == "mul" and modifiers == ["wide"]:
            self.assign(operands[0], f"mul_wide<{of}>({', '.join(sources)})")
        elif name in ("shl", "shr") and not modifiers:
            self.assign(operands[0], f"{name}<{of}>({', '.join(sources)})")
        elif name == "setp" and len(modifiers) == 1 and modifiers[0] in COMPARISONS:
            self.assign(operands[0], f"compare_{modifiers[0]}<{of}>({', '.join(sources)})")
        elif name == "selp" and not modifiers:
            self.assign(operands[0], f"{sources[2]} ? {sources[0]} : {sources[1]}")
        elif name == "cvt" and len(modifiers) <= 2 and all(m in ROUNDINGS for m in modifiers[:-1]):
            to, rounding = TYPES[modifiers[-1]], modifiers[0] if len(modifiers) == 2 else "rn"
            self.assign(operands[0], f"convert<{to}, {of}, Rounding::{ROUNDINGS[rounding]}>({sources[0]})")
        else:
            raise Unknown(".".join(parts))

    def halves(self, operands: list[str]) -> None:
        """Translates the packing of two 32-bit registers into one of 64, and the unpacking; the low half is first."""
        low, high = next(operand for operand in operands if "{" in operand).strip("{}").split(",")
        if operands[0].startswith("{"):
            self.assign(low, f"get<std::uint32_t>({self.operand(operands[1])})")
            self.assign(high, f"{self.operand(operands[1])} >> 32")
        else:
            both = f"get<std::uint32_t>({self.operand(low)}) | {self.operand(high)} << 32"
            self.assign(operands[0], both)

    def declare(self, line: str) -> bool:
        """Takes a .reg or .local line; false where it is neither."""
        if match := re.match(r"\.reg \.(\w+)\s+%(\w+)(?:<(\d+)>)?;", line):
            kind = "bool" if match[1] == "pred" else "std::uint64_t"
            names = [f"r_{match[2]}{i}" for i in range(int(match[3]))] if match[3] else [f"r_{match[2]}"]
            self.declarations.append(f"  [[maybe_unused]] {kind} {', '.join(f'{name} = 0' for name in names)};")
        elif match := re.match(r"\.local \.align (\d+) \.b8\s+(\w+)\[(\d+)\];", line):
            self.declarations.append(f"  alignas({match[1]}) unsigned char {match[2]}[{match[3]}];")
        else:
            return False
        return True

    def text(self) -> str:
        """Returns the C++ function."""
        lines = "\n".join(self.declarations + self.code)
        return f"void {self.function()}(std::uint64_t param, Thread& thread) {{\n  (void)param;\n{lines}\n}}\n"

    def function(self) -> str:
        """Returns the C++ function's name."""
        return f"kernel_{self.body}"


def label(text: str) -> str:
    """Returns a C++ label for a PTX one."""
    return text.strip().replace("$", "L")


def translate(ptx: str) -> list[Kernel]:
    """Returns every kernel of a PTX module."""
    kernels: list[Kernel] = []
    inside = False
    for raw in ptx.splitlines():
        line = re.sub(r"\s+", " ", raw.split("//")[0]).strip()
        if match := ENTRY.search(line):
            kernels.append(Kernel(match[1]))
        elif line in ("{", "}"):
            inside = line == "{"
        elif not inside or not line or line.startswith(".pragma") or kernels[-1].declare(line):
            continue
        elif line.endswith(":"):
            kernels[-1].code.append(f"{label(line[:-1])}:;")
        else:
            kernels[-1].instruction(line.rstrip(";"))
    return kernels


HEAD = """// Generated by ptx_to_cpp.py.
#include "kernels/cuda/ptx_machine.hpp"

namespace medsam::kernels::ptx {
namespace {
"""


def source(kernels: list[Kernel]) -> str:
    """Returns the C++ file: a function a kernel, and the table of them."""
    rows = [f'    {{"{k.body}", {k.function()}, {"true" if k.shuffles else "false"}}},' for k in kernels]
    table = ["const Kernel kKernels[] = {", *rows, "};", f"const std::size_t kKernelCount = {len(kernels)};"]
    tail = ["}  // namespace", "", *table, "", "}  // namespace medsam::kernels::ptx", ""]
    return "\n".join([HEAD, *(k.text() for k in kernels), *tail])


def main() -> None:
    """Writes the C++ file; fails with the reason where the PTX is beyond the translator."""
    try:
        kernels = translate(Path(sys.argv[1]).read_text(encoding="ascii"))
    except Unknown as error:
        sys.exit(f"ptx_to_cpp: {error} is unknown; add it here and in ptx_machine.hpp")
    Path(sys.argv[2]).write_text(source(kernels), encoding="ascii")


if __name__ == "__main__":
    main()
