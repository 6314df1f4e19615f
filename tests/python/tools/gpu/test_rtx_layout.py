# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The CUDA plugin is compiled against TensorRT 11's headers and calls into TensorRT for RTX, which publishes none.

A call through those headers goes to a numbered slot of a virtual table. Here the Python bindings of the installed
release, which were compiled against its own headers, are given objects whose every slot says its number; for each call
that the plugin makes it must be the slot of TensorRT 11.1's include/NvInferImpl.h. So a release that moves a slot is
found without a GPU, and cpp/src/backends/tensorrt/library.cpp takes only releases that passed here. What TensorRT's
headers have not, rtx.cpp beside it calls by slots of its own, which are read from there.
"""

import contextlib
import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")

SLOTS = 96
OWN = 1000  # added to the slots of an object's own table, of which a program calls the destructor only
OBJECT = "stand-in"
RTX = Path(__file__).resolve().parents[4] / "cpp" / "src" / "backends" / "tensorrt" / "rtx.cpp"
# Class and method in Python (a property with arguments is set), arguments, the last a dict for those that need their
# names; and the slot in NvInferImpl.h (the two destructors of VRoot are 0 and 1), or its name in rtx.cpp.
CALLS: list[tuple[str, str, tuple[Any, ...], int | str]] = [
    ("Builder", "create_builder_config", (), 5),
    ("Builder", "create_network", (0,), 6),
    ("Builder", "create_optimization_profile", (), 7),
    ("IBuilderConfig", "clear_flag", ("BuilderFlag.TF32",), 8),
    ("IBuilderConfig", "num_optimization_profiles", (), 24),
    ("IBuilderConfig", "num_compute_capabilities", (1,), "kSetNbComputeCapabilities"),
    ("IBuilderConfig", "progress_monitor", (OBJECT,), 45),
    ("IBuilderConfig", "set_compute_capability", ("ComputeCapability.SM89", 0), "kSetComputeCapability"),
    ("Runtime", "deserialize_cuda_engine", (b"0123456789abcdef0123456789abcdef",), 3),
    ("ICudaEngine", "create_execution_context", (), 5),
    ("ICudaEngine", "create_execution_context", ({"runtime_config": OBJECT},), "kCreateExecutionContext"),
    ("ICudaEngine", "create_runtime_config", (), "kCreateRuntimeConfig"),
    ("ICudaEngine", "get_tensor_shape", ("x",), 15),
    ("ICudaEngine", "get_tensor_profile_shape", ("x", 0), 25),
    ("IExecutionContext", "set_input_shape", ("x", (1, 2)), 20),
    ("IExecutionContext", "get_tensor_shape", ("x",), 21),
    ("IExecutionContext", "set_tensor_address", ("x", 0), 23),
    ("IExecutionContext", "execute_async_v3", (0,), 36),
    ("IRuntimeConfig", "create_runtime_cache", (), "kCreateRuntimeCache"),
    ("IRuntimeConfig", "set_runtime_cache", (OBJECT,), "kSetRuntimeCache"),
    ("IRuntimeCache", "serialize", (), "kSerialize"),
    ("IRuntimeCache", "deserialize", (b"kernels",), "kDeserialize"),
]

Slot = ctypes.CFUNCTYPE(ctypes.c_long)
called: list[int] = []


def _slot(number: int) -> Any:
    def record() -> int:
        called.append(number)
        return 0

    return Slot(record)


class Stand:
    """What pybind11 takes for an object of TensorRT: a pointer to {vtable, implementation}, both of numbered slots."""

    own = tuple(_slot(OWN + number) for number in range(SLOTS))
    stubs = tuple(_slot(number) for number in range(SLOTS))

    def __init__(self) -> None:
        own, table = (
            (ctypes.c_void_p * SLOTS)(*(ctypes.cast(stub, ctypes.c_void_p).value for stub in stubs))
            for stubs in (self.own, self.stubs)
        )
        self.tables = own, table
        self.implementation = (ctypes.c_void_p * 32)(ctypes.addressof(table))
        self.object = (ctypes.c_void_p * 32)(ctypes.addressof(own), ctypes.addressof(self.implementation))

    def _pybind11_conduit_v1_(self, _abi: bytes, _type: object, _kind: bytes) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.object), None, None)


def _argument(value: Any) -> Any:
    import tensorrt_rtx

    if value == OBJECT:
        return Stand()
    if isinstance(value, str) and "." in value:
        owner, member = value.split(".")
        return getattr(getattr(tensorrt_rtx, owner), member)
    return value


def slot_of(owner: str, name: str, arguments: tuple[Any, ...]) -> int:
    """The slot of the implementation's table that a call of the bindings goes to."""
    import tensorrt_rtx

    attribute = getattr(tensorrt_rtx, owner).__dict__[name]
    function: Any = attribute
    if isinstance(attribute, property):
        function = attribute.fset if arguments else attribute.fget
    named = {key: _argument(value) for value in arguments if isinstance(value, dict) for key, value in value.items()}
    placed = [_argument(value) for value in arguments if not isinstance(value, dict)]
    called.clear()
    with contextlib.suppress(Exception):  # a null answer may be an error to the bindings; the slot is known by then
        function(Stand(), *placed, **named)
    return called[0] if called else -1


def slots_in_rtx_cpp() -> dict[str, int]:
    """Every slot that rtx.cpp names."""
    return {name: int(number) for name, number in re.findall(r"\b(k\w+) = (\d+)[,;]", RTX.read_text())}


@pytest.fixture(scope="module")
def slots() -> list[int]:
    """Of each call in turn, as far as they get: in a process of its own, which a slot that moved may end."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("number", range(len(CALLS)), ids=[f"{owner}.{name}" for owner, name, *_ in CALLS])
def test_a_call_goes_where_the_headers_say(slots: list[int], number: int) -> None:
    assert len(slots) > number, "this call, or one before it, ended the process"
    expected = CALLS[number][3]
    assert slots[number] == (slots_in_rtx_cpp()[expected] if isinstance(expected, str) else expected)


def test_every_slot_of_rtx_cpp_is_looked_at() -> None:
    assert set(slots_in_rtx_cpp()) == {slot for *_, slot in CALLS if isinstance(slot, str)}


if __name__ == "__main__":
    for owner, name, arguments, _ in CALLS:
        sys.stdout.write(f"{slot_of(owner, name, arguments)}\n")
        sys.stdout.flush()
