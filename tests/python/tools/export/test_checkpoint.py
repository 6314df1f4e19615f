# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reading, unwrapping and strict loading of checkpoint files."""

import re
from pathlib import Path

import pytest
import torch

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint, families

FLAT = {"a.weight": torch.ones(2), "b.num_batches_tracked": torch.tensor(3)}
SURPLUS = "image_encoder.norm_head.weight"


class Malicious:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("code from a checkpoint was run",))


@pytest.mark.parametrize(
    "content",
    [
        FLAT,
        {"model": FLAT, "epoch": 3, "optimizer": {}},
        {"state_dict": {f"model.{k}": v for k, v in FLAT.items()}},
        {f"module.{k}": v for k, v in FLAT.items()},
        {"model": {"state_dict": {f"module.model.{k}": v for k, v in FLAT.items()}}},
    ],
    ids=["flat", "training dict", "lightning", "data parallel", "nested"],
)
def test_reads_wrapped_checkpoints(content: dict[str, object], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "c.pth")
    read = checkpoint.read(tmp_path / "c.pth")
    assert set(read.tensors) == set(FLAT)
    assert all(torch.equal(read.tensors[name], value) for name, value in FLAT.items())
    assert re.fullmatch("[0-9a-f]{64}", read.sha256)


def test_a_prefix_that_is_not_shared_stays() -> None:
    tensors = {"module.a": torch.ones(1), "b": torch.ones(1)}
    assert set(checkpoint.unwrap(tensors)) == {"module.a", "b"}


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not a file"):
        checkpoint.read(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_unreadable_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(ExportError, match=r"^[^\n]*cannot be read[^\n]*$"):
        checkpoint.read(tmp_path / "c.pth")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Malicious()}, tmp_path / "c.pth")
    with pytest.raises(ExportError, match="cannot be read"):
        checkpoint.read(tmp_path / "c.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.ones(1)]])
def test_no_tensors(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(ExportError, match="holds no tensors"):
        checkpoint.read(tmp_path / "c.pth")


def test_strict_loading_names_what_is_wrong(weights: dict[str, torch.Tensor]) -> None:
    model = families.get("litemedsam").build()
    altered = dict(weights) | {SURPLUS: torch.ones(3), "mask_decoder.iou_token.weight": torch.ones(1, 128)}
    missing = [name for name in weights if name.startswith("prompt_encoder.mask_downscaling")]
    for name in missing:
        del altered[name]
    with pytest.raises(ExportError) as caught:
        checkpoint.load_strict(model, altered, "litemedsam")
    message = str(caught.value)
    assert "\n" not in message
    assert "'litemedsam'" in message
    assert f"{len(missing)} missing: {', '.join(missing[:5])} and {len(missing) - 5} more" in message
    assert f"1 surplus: {SURPLUS}" in message
    assert "mask_decoder.iou_token.weight is (1, 128) not (1, 256)" in message


def test_batch_norm_counters_are_part_of_the_layout(weights: dict[str, torch.Tensor]) -> None:
    altered = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    with pytest.raises(ExportError, match=r"missing: .*num_batches_tracked"):
        checkpoint.load_strict(families.get("litemedsam").build(), altered, "litemedsam")


def test_weights_of_another_dtype_become_the_models(weights: dict[str, torch.Tensor]) -> None:
    name = "mask_decoder.iou_token.weight"
    model = families.get("litemedsam").build()
    checkpoint.load_strict(model, dict(weights) | {name: weights[name].double() / 3}, "litemedsam")
    loaded = model.state_dict()[name]
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, (weights[name].double() / 3).float())


def test_a_dict_that_holds_itself(tmp_path: Path) -> None:
    cycle: dict[str, object] = {"a": torch.ones(1)}
    cycle["model"] = cycle
    torch.save(cycle, tmp_path / "c.pth")
    with pytest.raises(ExportError, match=r"^[^\n]*c\.pth[^\n]*more than 16 dicts[^\n]*$"):
        checkpoint.read(tmp_path / "c.pth")
    with pytest.raises(ExportError, match="more than 16 prefixes"):
        checkpoint.unwrap({"module." * 1000 + "a": torch.ones(1)})


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01h\x09s.",  # a memo entry that is not there
        b"\x80\x02s.",  # an operation on an empty stack
        b"\x80\x02" + b"(" * 10_000 + b"l" * 10_000 + b".",
        b"\x80\x02" + b"]" + b"]a" * 10,
    ],
)
def test_a_pickle_that_leads_nowhere(tmp_path: Path, pickled: bytes) -> None:
    import zipfile

    torch.save(FLAT, tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as source, zipfile.ZipFile(tmp_path / "c.pth", "w") as target:
        for entry in source.infolist():
            content = pickled if entry.filename.endswith("data.pkl") else source.read(entry)
            target.writestr(entry.filename.replace("good", "c"), content)
    with pytest.raises(ExportError, match=r"^[^\n]*(cannot be read|holds no tensors)[^\n]*$"):
        checkpoint.read(tmp_path / "c.pth")


def test_compressed_entries_and_pipes(tmp_path: Path) -> None:
    import os
    import zipfile

    with zipfile.ZipFile(tmp_path / "c.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/data.pkl", b"x" * 100_000)
    with pytest.raises(ExportError, match="1 compressed entries"):
        checkpoint.read(tmp_path / "c.pth")
    os.mkfifo(tmp_path / "p.pth")
    with pytest.raises(ExportError, match="a named pipe"):
        checkpoint.read(tmp_path / "p.pth")
