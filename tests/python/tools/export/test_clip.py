# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""CLIP's towers and folders against transformers, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="CLIP needs transformers: make setup")

from clip_stand_in import END, VOCABULARY, clip_model, write_clip
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from medsam_engine_tools.bundle.file_hash import file_sha256
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import clip_folder, families
from medsam_engine_tools.export.export import export
from medsam_engine_tools.export.families import mcp_medsam
from medsam_engine_tools.export.nn.clip import Clip, ImageFeatures

TEXTS = tuple(mcp_medsam.MODALITIES.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made: Path = write_clip(tmp_path / "clip", clip_model())
    return made


def features(answer: Any) -> torch.Tensor:
    """What transformers 5 wraps and 4 returned as it was."""
    found = answer if isinstance(answer, torch.Tensor) else answer.pooler_output
    assert isinstance(found, torch.Tensor)
    return found


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def test_image_features_are_those_of_transformers(folder: Path) -> None:
    torch.manual_seed(1)
    crops = torch.rand(3, 3, 224, 224)
    expected = features(clip_model().get_image_features(crops))
    assert relative(ImageFeatures(clip_folder.read(folder).clip)(crops), expected) < 1e-5


def test_text_features_are_those_of_transformers_for_padded_texts(folder: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    # As infer.py:get_text_features: padded to the longest text, no attention mask.
    ids = tokenizer(list(TEXTS), max_length=77, padding="max_length", truncation=True, return_tensors="pt").input_ids
    expected = features(clip_model().get_text_features(ids))
    found = clip_folder.read(folder).text_features(TEXTS)
    assert relative(found, expected) < 1e-5
    assert torch.unique(found, dim=0).shape == found.shape  # eleven different texts


def test_layout_is_that_of_transformers_at_full_size() -> None:
    with torch.device("meta"):
        published = CLIPModel(CLIPConfig()).state_dict()
        ours = Clip(clip_folder.clip_size(CLIPConfig())).state_dict()
    expected = {name: value.shape for name, value in published.items() if name not in clip_folder.COUNTERS}
    assert {name: value.shape for name, value in ours.items()} == expected


def test_token_ids_end_with_the_end(folder: Path) -> None:
    source = clip_folder.read(folder)
    start = VOCABULARY.index("<|startoftext|>")
    letters = ["c", "t</w>", "i", "m", "a", "g", "e</w>"]
    assert source.token_ids("CT Image") == [start, *map(VOCABULARY.index, letters), VOCABULARY.index(END)]


def test_a_torch_file_with_counters_is_taken_too(folder: Path) -> None:
    expected = clip_folder.read(folder).clip.state_dict()
    tensors = {**clip_model().state_dict(), clip_folder.COUNTERS[0]: torch.arange(77)[None]}
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = clip_folder.read(folder)
    # Tensor by tensor: a product over the same numbers at another alignment may differ in its last bit.
    assert found.clip.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.clip.state_dict().items())
    assert found.sha256 == file_sha256(folder / "pytorch_model.bin")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "merges.txt"])
def test_an_incomplete_folder_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ExportError, match="is no CLIP folder; expected config"):
        clip_folder.read(folder)


def test_a_damaged_folder_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ExportError, match="cannot be read"):
        clip_folder.read(folder)


def test_a_tokenizer_of_another_vocabulary_is_refused(folder: Path) -> None:
    (folder / "vocab.json").write_text('{"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}')
    with pytest.raises(ExportError, match=f"tokenizer of 3 tokens for a model of {len(VOCABULARY)}"):
        clip_folder.read(folder)


def test_a_clip_of_other_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="gives 256 features, MCP-MedSAM takes 512"):
        mcp_medsam.attach_clip(mcp_medsam.build(), write_clip(tmp_path, clip_model(features=256)))


def test_a_family_built_on_another_model_asks_for_it(tmp_path: Path) -> None:
    torch.save(families.get("mcp_medsam").build().state_dict(), tmp_path / "stand_in.pth")
    with pytest.raises(ExportError, match="'mcp_medsam' is built on another model; give --clip DIR, the CLIP"):
        export("auto", tmp_path / "stand_in.pth", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_family_built_on_none_takes_none(checkpoint_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'litemedsam' is built on no other model"):
        export("litemedsam", checkpoint_file, tmp_path / "bundle", companion=tmp_path)
