# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The reader of torch.save's files without torch: against torch, and what it refuses."""

from __future__ import annotations

import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_zip import mapping, number, numbers, pickled, save, storage, tensor, text

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint
from medsam_engine_tools.export.torch_file import reader

FOUR = np.arange(4, dtype=np.float32).tobytes()
GOOD = tensor(storage("0", 4), (2, 2), (2, 1))
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
DTYPES = [*FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def refused(path: Path, words: str) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        reader.read(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000
    assert str(path) in message


@st.composite
def views(draw: st.DrawFn) -> torch.Tensor:
    """A tensor of any kind, with any order of its dimensions and any part of a storage."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    base = (torch.arange(int(np.prod(shape))) * 7 % 250).reshape(shape).to(draw(st.sampled_from(DTYPES)))
    base = base.permute(draw(st.permutations(range(len(shape)))))
    if base.ndim and draw(st.booleans()):
        base = base[draw(st.integers(0, 2)) :]
    return base


WRAPPINGS = [lambda d: d, lambda d: {"model": d, "epoch": 3, "best": 0.5, "names": ["a", None, True]},
             lambda d: {"state_dict": {f"module.{name}": value for name, value in d.items()}}]  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tensors=st.lists(views(), min_size=1, max_size=4), wrapping=st.sampled_from(WRAPPINGS), shared=st.booleans())
def test_reads_what_torch_reads(tensors: list[torch.Tensor], wrapping: object, shared: bool, tmp_path: Path) -> None:
    named = {f"layer.{i}": value for i, value in enumerate(tensors)}
    if shared:
        named["again"] = tensors[0]
        named["parameter"] = torch.nn.Parameter(tensors[0].float())
    assert callable(wrapping)
    path = tmp_path / "c.pth"
    torch.save(wrapping(named), path)
    expected, found = checkpoint.read(path), reader.read(path)
    assert found.sha256 == expected.sha256
    assert list(found.tensors) == list(expected.tensors)
    for name, value in expected.tensors.items():
        wanted = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        np.testing.assert_array_equal(found.tensors[name], wanted.numpy())
        assert found.tensors[name].dtype == wanted.numpy().dtype


def test_reads_a_modules_state(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(
        {"model": module.state_dict(), "optimizer": torch.optim.Adam(module.parameters()).state_dict()}, tmp_path / "c"
    )
    found = reader.read(tmp_path / "c").tensors
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(found[name], value.numpy())


HUGE = 1 << 62
TENSORS = {
    "larger than its storage": tensor(storage("0", 4), (5,), (1,)),
    "offset": tensor(storage("0", 4), (2, 2), (2, 1), 1),
    "negative offset": tensor(storage("0", 4), (2,), (1,), -1),
    "stride": tensor(storage("0", 4), (2, 2), (3, 1)),
    "negative stride": tensor(storage("0", 4), (2,), (-1,), 1),
    "negative size": tensor(storage("0", 4), (-2, -2), (2, 1)),
    "repeated": tensor(storage("0", 4), (1 << 30,), (0,)),
    "products that wrap": tensor(storage("0", 4), (HUGE, 4), (1, 0)),
    "strides that wrap": tensor(storage("0", 4), (3, 2), (HUGE, HUGE)),
    "an empty one of impossible size": tensor(storage("0", 4), (0, HUGE, HUGE), (1, 1, 1)),
    "dimensions": tensor(storage("0", 4), (1,) * 65, (1,) * 65),
    "other lengths": tensor(storage("0", 4), (2, 2), (1,)),
}


@pytest.mark.parametrize("value", TENSORS.values(), ids=TENSORS.keys())
def test_a_tensor_that_is_not_inside_its_storage(value: bytes, tmp_path: Path) -> None:
    save(tmp_path / "c.pth", pickled(mapping({"a": value})), {"0": FOUR})
    refused(tmp_path / "c.pth", "got a tensor of shape")


def test_a_stride_that_is_never_used_may_be_anything(tmp_path: Path) -> None:
    save(tmp_path / "c.pth", pickled(mapping({"a": tensor(storage("0", 4), (1, 4), (HUGE, 1))})), {"0": FOUR})
    np.testing.assert_array_equal(reader.read(tmp_path / "c.pth").tensors["a"], [[0, 1, 2, 3]])


def deep(count: int) -> bytes:
    return b"]" * count + b"a" * (count - 1)


def doubled(count: int) -> bytes:
    """A tuple of two references to a tuple of two references ...: few bytes, and a hash of 2^count steps."""
    return b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(count))


PICKLES = {
    "code": (b"cos\nsystem\n" + text("true") + b"\x85R", "the name os system"),
    "builtins": (b"c__builtin__\neval\n)R", "the name __builtin__ eval"),
    "an attribute of torch": (b"ctorch\nload\n)R", "the name torch load"),
    "an object": (b"ccollections\nOrderedDict\n)\x81", "operation NEWOBJ"),
    "an instance": (b"(icollections\nOrderedDict\n", "operation INST"),
    "an extension": (b"\x82\x01", "operation EXT1"),
    "a name from the stack": (text("os") + text("system") + b"\x93", "operation STACK_GLOBAL"),
    "a persistent id of text": (b"Pstorage\n", "operation PERSID"),
    "a persistent id of another form": (text("storage") + b"Q", "reference outside that is no storage"),
    "a persistent id of five others": (b"(" + text("module") + b"NNNNtQ", "reference outside that is no storage"),
    "an unknown storage": (storage("0", 4, "ComplexFloatStorage"), "the name torch ComplexFloatStorage"),
    "no such member": (storage("../../etc/passwd", 4), "no member data/../../etc/passwd"),
    "another count": (storage("0", 5), "got 5 numbers stated"),
    "another kind": (storage("0", 4) + storage("0", 2, "DoubleStorage") + b"\x86", "expected one kind"),
    "a call of a tensor": (GOOD + b")R", "a call of something that is no name"),
    "other arguments": (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "other arguments"),
    "a tensor of no storage": (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + number(1) + numbers(()) * 5 + b"tR",
        "other argum",
    ),
    "a key that takes forever": (b"}" + doubled(60) + number(1) + b"s", "a tuple as a key"),
    "a list as a key": (b"}]" + number(1) + b"s", "a list as a key"),
    "a memo entry that is not there": (b"h\x09", "memo entry 9"),
    "a huge memo index": (b"}r\xff\xff\xff\xff" + b"j\xfe\xff\xff\xff\x86", "memo entry"),
    "an empty stack": (b"s", "empty stack"),
    "no mark": (b"t", "without its mark"),
    "items of no list": (b"}" + number(1) + b"a", "no list"),
    "two values": (b"}}", "more or less than one"),
    "a text that is none": (b"X\x02\x00\x00\x00\xff\xff", "damaged pickle"),
    "a long text": (b"X\xff\xff\xff\x7fabc", "damaged pickle"),
    "deep": (deep(200_000), "holds no tensors"),
}


@pytest.mark.parametrize(("value", "words"), PICKLES.values(), ids=PICKLES.keys())
def test_another_pickle(value: bytes, words: str, tmp_path: Path) -> None:
    save(tmp_path / "c.pth", pickled(value), {"0": FOUR})
    refused(tmp_path / "c.pth", words)


def test_a_pickle_without_an_end(tmp_path: Path) -> None:
    save(tmp_path / "c.pth", pickled(GOOD)[:-1], {"0": FOUR})
    refused(tmp_path / "c.pth", "damaged pickle")


def test_a_large_pickle(tmp_path: Path) -> None:
    save(tmp_path / "c.pth", b"]" * ((4 << 20) + 1))
    refused(tmp_path / "c.pth", "bytes in data.pkl, expected at most 4194304")


def archive(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytearray:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as out:
        warnings.simplefilter("ignore")  # of a name that is there already
        for name, content in members:
            out.writestr(name, content)
    return bytearray(path.read_bytes())


MEMBERS = [("a/data.pkl", pickled(mapping({"a": GOOD}))), ("a/data/0", FOUR)]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([*MEMBERS, ("a/data/0", FOUR)], "member a/data/0 2 times"),
        ([*MEMBERS, ("b/data.pkl", b"")], "got 2 members data.pkl"),
        (MEMBERS[1:], "got 0 members data.pkl"),
        (MEMBERS[:1], "no member data/0"),
        ([*MEMBERS, ("a/byteorder", b"big")], "byte order b'big', expected little"),
        ([MEMBERS[0], ("a/data/0", FOUR[:-1])], "expected whole numbers of 4"),
        ([*MEMBERS, *((f"a/{i}", b"") for i in range(1 << 16))], "65538 members"),
    ],
    ids=["twice", "two pickles", "no pickle", "no storage", "big-endian", "half a number", "many members"],
)
def test_another_archive(members: list[tuple[str, bytes]], words: str, tmp_path: Path) -> None:
    archive(tmp_path / "c.pth", members)
    refused(tmp_path / "c.pth", words)


def test_compressed_members(tmp_path: Path) -> None:
    archive(tmp_path / "c.pth", [("a/data.pkl", b"]" * (1 << 20))], zipfile.ZIP_DEFLATED)
    refused(tmp_path / "c.pth", "1 compressed entries")


def change(path: Path, content: bytearray, signature: bytes, at: int, value: bytes) -> None:
    """Writes `value` into the last record of this signature."""
    start = content.rfind(signature) + at
    content[start : start + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("signature", "at", "value", "words"),
    [
        (b"PK\x01\x02", 8, b"\x01\x00", "1 encrypted entries"),
        (b"PK\x01\x02", 10, b"\x08\x00", "1 compressed entries"),
        (b"PK\x01\x02", 42, struct.pack("<L", 0), "overlap"),
        (b"PK\x01\x02", 16, b"\x00\x00\x00\x00", "damaged ZIP file"),
        (b"PK\x05\x06", 12, struct.pack("<L", 1 << 30), "ZIP directory of"),
        (b"PK\x05\x06", 20, b"\x01\x00", "no ZIP file that ends"),
    ],
    ids=["encrypted", "method", "one place for two", "checksum", "directory", "comment"],
)
def test_a_changed_archive(signature: bytes, at: int, value: bytes, words: str, tmp_path: Path) -> None:
    change(tmp_path / "c.pth", archive(tmp_path / "c.pth", MEMBERS), signature, at, value)
    refused(tmp_path / "c.pth", words)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a checkpoint" * 10, b"\x80\x02}q\x00."])
def test_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(content)
    refused(tmp_path / "c.pth", "no ZIP file that ends as torch.save's do")


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    content = archive(tmp_path / "c.pth", MEMBERS)
    for end in range(0, len(content), 7):
        (tmp_path / "c.pth").write_bytes(content[:end])
        refused(tmp_path / "c.pth", "cannot be read")


def test_wrappers_are_taken_off_as_torchs_path_does(tmp_path: Path) -> None:
    inner = mapping({"module.a": GOOD})
    save(tmp_path / "c.pth", pickled(mapping({"state_dict": inner, "epoch": number(3)})), {"0": FOUR})
    assert list(reader.read(tmp_path / "c.pth").tensors) == ["a"]
    cycle = b"}q\x00" + text("model") + b"h\x00s" + text("a") + GOOD + b"s"
    save(tmp_path / "c.pth", pickled(cycle), {"0": FOUR})
    refused(tmp_path / "c.pth", "more than 16 dicts")


def test_a_builder_of_the_tests_is_torchs(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float64).reshape(2, 3), "b": np.array(3)}
    torch_zip.save_arrays(tmp_path / "c.pth", arrays)
    loaded = torch.load(tmp_path / "c.pth", weights_only=True)
    assert all(np.array_equal(loaded[name].numpy(), value) for name, value in arrays.items())
