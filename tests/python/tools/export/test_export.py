# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A whole export: its steps, its bytes, and what it refuses to overwrite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import export as export_module
from medsam_engine_tools.export import onnx_export, parity
from medsam_engine_tools.export.export import export
from medsam_engine_tools.export.target import check_target, replace_folder


def test_reports_each_step(exported: tuple[Path, list[str]]) -> None:
    steps = [
        f"{verb} {key}.onnx" for key in ("encoder", "decoder", "decoder_mask") for verb in ("exporting", "checking")
    ]
    lines = exported[1]
    assert lines[0] == "reading the checkpoint"
    assert [line.removesuffix(" against PyTorch") for line in lines[1:-1]] == steps
    assert lines[-1] == "exporting encoder.fused.safetensors, decoder.fused.safetensors"


def test_leaves_nothing_beside_the_bundle(bundle: Path) -> None:
    assert [entry.name for entry in bundle.parent.iterdir()] == [bundle.name]


def test_every_file_is_readable_as_the_umask_says(bundle: Path) -> None:
    umask = os.umask(0o022)
    os.umask(umask)
    assert {path.name: path.stat().st_mode & 0o777 for path in bundle.iterdir()} == {
        path.name: 0o666 & ~umask for path in bundle.iterdir()
    }
    assert bundle.stat().st_mode & 0o777 == 0o777 & ~umask


EXPORT = "import sys; from medsam_engine_tools.export.export import export; export('litemedsam', *sys.argv[1:])"
# One graph of the three, whose export is a third of the time.
EXPORT_DECODER = """
import sys
from pathlib import Path
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.export import checkpoint, families, onnx_export

family = families.get("litemedsam")
model = family.build()
checkpoint.load_strict(model, checkpoint.read(Path(sys.argv[1])).tensors, family.name)
[graph] = [graph for graph in family.graphs(model.eval()) if graph.key == "decoder"]
onnx_export.write_onnx(graph, Path(sys.argv[2]), (manifest.EXPORTER, manifest.exporter_version()))
"""


def run_elsewhere(program: str, checkpoint_file: Path, target: Path) -> None:
    """In a process of its own, with another hash seed: an order taken from a set would differ."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", program, str(checkpoint_file), str(target)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_same_checkpoint_gives_the_same_graph(bundle: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    run_elsewhere(EXPORT_DECODER, checkpoint_file, tmp_path / "decoder.onnx")
    assert (tmp_path / "decoder.onnx").read_bytes() == (bundle / "decoder.onnx").read_bytes()


@pytest.mark.slow
def test_same_checkpoint_gives_the_same_bytes(bundle: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    run_elsewhere(EXPORT, checkpoint_file, again)
    names = sorted(entry.name for entry in bundle.iterdir())
    assert names == sorted(entry.name for entry in again.iterdir())
    assert [name for name in names if (bundle / name).read_bytes() != (again / name).read_bytes()] == []


@pytest.mark.parametrize("key", ["encoder", "decoder", "decoder_mask"])
def test_files_name_no_path(key: str, bundle: Path) -> None:
    data = (bundle / f"{key}.onnx").read_bytes()
    for part in (b"site-packages", b".py", b"/medsam_engine_tools", os.fsencode(Path.home())):
        assert part not in data


def test_unknown_family(checkpoint_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"unknown family 'litemedsan'; expected one of: .*litemedsam"):
        export("litemedsan", checkpoint_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_that_is_no_bundle(checkpoint_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ExportError, match=r"holds 'thesis\.tex'"):
        export("litemedsam", checkpoint_file, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_refuses_a_bundle_with_a_stranger_in_it(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    check_target(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"holds 'notes\.txt'"):
        check_target(folder)


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportError, match="is a file"):
        check_target(tmp_path / "out")


def test_takes_an_absent_or_empty_folder(tmp_path: Path) -> None:
    check_target(tmp_path)
    check_target(tmp_path / "absent")


def test_replaces_an_older_bundle(tmp_path: Path) -> None:
    (tmp_path / "work" / "bundle").mkdir(parents=True)
    (tmp_path / "work" / "bundle" / "new").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "old").touch()
    replace_folder(tmp_path / "work" / "bundle", tmp_path / "target")
    assert [entry.name for entry in (tmp_path / "target").iterdir()] == ["new"]


def test_failed_parity_leaves_no_bundle(checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_nothing(_: object, path: Path, *__: object) -> None:
        path.touch()  # the graph is not what this test is about

    def other_numbers(_: Path, cases: list[list[Any]]) -> list[list[Any]]:
        return [[case[0][:, :1].repeat(256, axis=1)[:, :, ::4, ::4]] for case in cases]

    monkeypatch.setattr(onnx_export, "write_onnx", write_nothing)
    monkeypatch.setattr(parity, "run_openvino", other_numbers)
    with pytest.raises(ExportError, match="parity of 'encoder': image_embedding differs from PyTorch by"):
        export("litemedsam", checkpoint_file, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_target(checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "write_bundle", full)
    with pytest.raises(ExportError, match=r"cannot be written .*No space left"):
        export("litemedsam", checkpoint_file, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
