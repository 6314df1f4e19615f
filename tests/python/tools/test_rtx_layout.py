# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The CUDA plugin is compiled against TensorRT 11's headers and calls into TensorRT for RTX, which publishes none.

A call through those headers goes to a numbered slot of a virtual table. Here the Python bindings of the installed
release, which were compiled against its own headers, are given objects whose every slot says its number; for each call
that the plugin makes it must be the slot of TensorRT 11.1's include/NvInferImpl.h. So a release that moves a slot is
found without a GPU, and cpp/src/backends/tensorrt/library.cpp takes only releases that passed here.
"""

import contextlib
import ctypes
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: pip install 'medsam-engine[cuda]'")

SLOTS = 96
# Class and method in Python, arguments, slot in NvInferImpl.h (the two destructors of VRoot are 0 and 1).
CALLS: list[tuple[str, str, tuple[Any, ...], int]] = [
    ("Builder", "create_builder_config", (), 5),
    ("Builder", "create_network", (0,), 6),
    ("Builder", "create_optimization_profile", (), 7),
    ("IBuilderConfig", "num_optimization_profiles", (), 24),
    ("Runtime", "deserialize_cuda_engine", (b"0123456789abcdef0123456789abcdef",), 3),
    ("ICudaEngine", "create_execution_context", (), 5),
    ("ICudaEngine", "get_tensor_shape", ("x",), 15),
    ("ICudaEngine", "get_tensor_profile_shape", ("x", 0), 25),
    ("IExecutionContext", "set_input_shape", ("x", (1, 2)), 20),
    ("IExecutionContext", "get_tensor_shape", ("x",), 21),
    ("IExecutionContext", "set_tensor_address", ("x", 0), 23),
    ("IExecutionContext", "execute_async_v3", (0,), 36),
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

    stubs = tuple(_slot(number) for number in range(SLOTS))

    def __init__(self) -> None:
        self.table = (ctypes.c_void_p * SLOTS)(*(ctypes.cast(stub, ctypes.c_void_p).value for stub in self.stubs))
        table = ctypes.addressof(self.table)
        self.implementation = (ctypes.c_void_p * 32)(table)
        self.object = (ctypes.c_void_p * 32)(table, ctypes.addressof(self.implementation))

    def _pybind11_conduit_v1_(self, _abi: bytes, _type: object, _kind: bytes) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.object), None, None)


def slot_of(owner: str, name: str, arguments: tuple[Any, ...]) -> int:
    """The slot of the implementation's table that a call of the bindings goes to."""
    import tensorrt_rtx

    attribute = getattr(tensorrt_rtx, owner).__dict__[name]
    function: Any = attribute.fget if isinstance(attribute, property) else attribute
    called.clear()
    with contextlib.suppress(Exception):  # a null answer may be an error to the bindings; the slot is known by then
        function(Stand(), *arguments)
    return called[0] if called else -1


@pytest.mark.parametrize(("owner", "name", "arguments", "slot"), CALLS)
def test_a_call_goes_where_the_headers_say(owner: str, name: str, arguments: tuple[Any, ...], slot: int) -> None:
    # In a process of its own: a slot that moved may be called with arguments it cannot take.
    done = subprocess.run(
        [sys.executable, __file__, owner, name, repr(arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == slot


if __name__ == "__main__":
    import ast

    sys.stdout.write(str(slot_of(sys.argv[1], sys.argv[2], ast.literal_eval(sys.argv[3]))))
