# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The pickle in a torch file, carried out without the pickle module.

A pickle is a program for a machine with a stack. pickletools, which only takes it apart, gives its operations; those
that torch.save writes for dicts, lists, numbers, texts and tensors are done here, and any other ends the reading. So no
name in the file leads to code: the few that may occur are words of this module. Nothing grows beyond the length of the
pickle: what is on the stack and in the memo are references, and nothing here walks through what they hold.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medsam_engine.base.printable import one_line
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.torch_file.storages import DTYPES, Numbers, Storages, tensor

MARK = object()
_KEYS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Word:
    """A name that the pickle may mention."""

    name: str


_STORAGES = {f"torch {name}": name for name in DTYPES}
_DICT, _SIZE = Word("collections OrderedDict"), Word("torch Size")
_TENSOR, _PARAMETER = Word("torch._utils _rebuild_tensor_v2"), Word("torch._utils _rebuild_parameter")
_WORDS = {word.name: word for word in (_DICT, _SIZE, _TENSOR, _PARAMETER, *map(Word, _STORAGES))}


class Foreign(ExportError):
    """The pickle does what torch.save does not for tensors."""

    def __init__(self, got: str) -> None:
        super().__init__(f"got {got} in the pickle, expected tensors, dicts, lists, numbers and texts only")


@dataclass
class Machine:
    """The stack and the memo."""

    storages: Storages
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        """What is on top, which is no mark."""
        if not self.stack or self.stack[-1] is MARK:
            raise Foreign("an operation on an empty stack")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """What is on top, left there, of this very kind."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Foreign(f"an operation on something that is no {kind.__name__}")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        """What is above the last mark, which goes, too."""
        at = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is MARK), None)
        if at is None:
            raise Foreign("an operation without its mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def put(self, pairs: list[Any]) -> None:
        """Keys and values, one after the other, into the dict on top."""
        if len(pairs) % 2:
            raise Foreign("a key without a value")
        target = self.top(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # A tuple of tuples of one tuple has a hash that takes forever.
            if type(key) not in _KEYS:
                raise Foreign(f"a {type(key).__name__} as a key")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        """Values into the list on top."""
        self.top(list).extend(items)

    def stored(self, identity: object) -> Numbers:
        """The storage that a persistent id names: ("storage", its kind, key, device, count)."""
        if type(identity) is tuple and len(identity) == 5 and identity[0] == "storage":
            _, kind, key, _, count = identity
            if type(kind) is Word and kind.name in _STORAGES and type(key) is str and type(count) is int:
                return self.storages.get(_STORAGES[kind.name], key, count)
        raise Foreign("a reference outside that is no storage")

    def reduce(self) -> Any:
        """The call of a word."""
        arguments, word = self.pop(), self.pop()
        if type(arguments) is not tuple or type(word) is not Word:
            raise Foreign("a call of something that is no name")
        if word is _DICT and arguments == ():
            return {}
        if word is _SIZE and len(arguments) == 1 and type(arguments[0]) is tuple:
            return arguments[0]
        if word is _PARAMETER and len(arguments) == 3:
            return arguments[0]
        if word is _TENSOR and len(arguments) in (6, 7):
            storage, offset, shape, strides, *_ = arguments
            if isinstance(storage, np.ndarray) and storage.ndim == 1:
                return tensor(storage, offset, shape, strides)
        raise Foreign(f"a call of {word.name} with other arguments than torch.save's")

    def build(self) -> None:
        """An object's attributes: torch keeps the versions of modules there, which are of no use here."""
        self.pop()
        self.top(dict)

    def word(self, name: str) -> Word:
        """The word of that name, one of the few."""
        if name not in _WORDS:
            raise Foreign(f"the name {one_line(name, 100)}")
        return _WORDS[name]

    def recall(self, index: int) -> Any:
        """What was put into the memo."""
        if index not in self.memo:
            raise Foreign(f"a memo entry {index} that is not there")
        return self.memo[index]

    def remember(self, index: int) -> None:
        """Puts what is on top into the memo."""
        if not self.stack or self.stack[-1] is MARK:
            raise Foreign("a memo entry of nothing")
        self.memo[index] = self.stack[-1]

    def push(self, value: Any) -> None:
        """Onto the stack."""
        self.stack.append(value)

    def pops(self, count: int) -> list[Any]:
        """The topmost, in the order in which they were pushed."""
        return [self.pop() for _ in range(count)][::-1]


def _literal(machine: Machine, value: Any) -> None:
    machine.push(value)


# What each operation of the pickle does; those that are not here are not done.
OPERATIONS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda _m, _a: None,
    "MARK": lambda m, _: m.push(MARK),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "BINUNICODE": _literal,
    "SHORT_BINUNICODE": _literal,
    "BININT": _literal,
    "BININT1": _literal,
    "BININT2": _literal,
    "LONG1": _literal,
    "BINFLOAT": _literal,
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pops(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pops(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pops(3))),
    "BINPUT": lambda m, index: m.remember(index),
    "LONG_BINPUT": lambda m, index: m.remember(index),
    "BINGET": lambda m, index: m.push(m.recall(index)),
    "LONG_BINGET": lambda m, index: m.push(m.recall(index)),
    "SETITEM": lambda m, _: m.put(m.pops(2)),
    "SETITEMS": lambda m, _: m.put(m.pop_to_mark()),
    "APPEND": lambda m, _: m.extend(m.pops(1)),
    "APPENDS": lambda m, _: m.extend(m.pop_to_mark()),
    "GLOBAL": lambda m, name: m.push(m.word(name)),
    "REDUCE": lambda m, _: m.push(m.reduce()),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.push(m.stored(m.pop())),
}


def carry_out(pickle: bytes, storages: Storages) -> object:
    """What the pickle describes. ExportError: it is damaged, or does anything that torch.save does not for tensors."""
    machine = Machine(storages)
    try:
        for operation, argument, _ in pickletools.genops(pickle):
            if operation.name == "STOP":
                break
            if operation.name not in OPERATIONS:
                raise Foreign(f"the operation {operation.name}")
            OPERATIONS[operation.name](machine, argument)
    except (ValueError, UnicodeError, EOFError) as error:  # of genops: a pickle that ends early, or a text that is none
        raise ExportError(f"got a damaged pickle ({one_line(str(error), 100)}), expected a whole file") from error
    if len(machine.stack) != 1 or machine.stack[0] is MARK:
        raise Foreign("an end with more or less than one value")
    return machine.stack[0]
