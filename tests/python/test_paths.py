# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Which bundle is meant when none is named."""

from pathlib import Path

import pytest

from medsam_engine import ModelError, find_bundle


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MEDSAM_ENGINE_BUNDLE", raising=False)
    return tmp_path


def install(data_home: Path, name: str) -> Path:
    folder = data_home / "medsam-engine" / "bundles" / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_order(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="medsam-engine fetch litemedsam"):
        find_bundle()
    only = install(data_home, "other")
    assert find_bundle() == only
    install(data_home, "third")
    with pytest.raises(ModelError, match="other, third"):
        find_bundle()
    default = install(data_home, "litemedsam")
    assert find_bundle() == default
    monkeypatch.setenv("MEDSAM_ENGINE_BUNDLE", "/named/by/variable")
    assert find_bundle() == Path("/named/by/variable")
    assert find_bundle("given") == Path("given")


def test_a_relative_data_home_is_ignored(data_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(data_home, "litemedsam")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", ".")
    for home in ("HOME", "USERPROFILE"):  # the second of Windows
        monkeypatch.setenv(home, str(tmp_path / "home"))
    with pytest.raises(ModelError, match="none"):
        find_bundle()


def test_half_a_bundle_is_not_found(data_home: Path) -> None:
    (data_home / "medsam-engine" / "bundles" / "partial").mkdir(parents=True)
    with pytest.raises(ModelError, match="none"):
        find_bundle()
