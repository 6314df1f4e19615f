# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The lock and the bill of materials are what pyproject.toml and CMake say, and nothing is ever unpickled."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "build_backend"))
import medsam_build


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("script", ["lock.py", "sbom.py"])
def test_is_in_step(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "release" / script, "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lock_out_of_step_is_found(tmp_path: Path) -> None:
    for name in ("scripts/release", "cmake"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("scripts/release/lock.py", "scripts/release/requirements.py", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    lock = (ROOT / "requirements.lock").read_text(encoding="ascii")
    for changed, fault in (
        (re.sub(r"(?m)^openvino==.*\n", "", lock), "requirements.lock: openvino==2026.4.1; "),
        (re.sub(r"(?m)^numpy==\S+", "numpy==1.26.0", lock), "has numpy 1.26.0"),
    ):
        (tmp_path / "requirements.lock").write_text(changed, encoding="ascii")
        done = subprocess.run(
            [sys.executable, tmp_path / "scripts" / "release" / "lock.py", "--check"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert fault in done.stdout


def test_every_native_library_has_a_component() -> None:
    cmake = (ROOT / "cmake" / "dependencies.cmake").read_text(encoding="ascii")
    # Python runs the build, pthreads are the system's, and CUDA's and TensorRT's libraries are never shipped.
    found = set(re.findall(r"find_package\((\w+)", cmake)) - {"Python", "Threads"}
    named = tomllib.loads((ROOT / "cmake" / "native.toml").read_text(encoding="ascii"))
    assert set(named) == found
    (pinned,) = project()["optional-dependencies"]["openvino"]
    assert pinned == f"openvino=={named['OpenVINO']['version']}"


def test_openvino_is_a_dependency_in_the_version_of_its_extra() -> None:
    (pinned,) = project()["optional-dependencies"]["openvino"]
    needed = [text for text in project()["dependencies"] if text.startswith("openvino")]
    assert needed == [f"{pinned}; sys_platform == 'linux' and platform_machine == 'x86_64'"]


@pytest.mark.parametrize(
    ("settings", "linked"),
    [
        (None, True),
        ({"cmake.define.MEDSAM_ENGINE_CUDA": "OFF"}, True),
        ({"cmake.define.MEDSAM_ENGINE_OPENVINO": "ON"}, True),
        ({"cmake.define.MEDSAM_ENGINE_OPENVINO": "OFF"}, False),
        ({"cmake.define.MEDSAM_ENGINE_OPENVINO": "false"}, False),
    ],
)
def test_a_build_asks_for_the_openvino_that_it_links(settings: dict[str, str | list[str]] | None, linked: bool) -> None:
    found = medsam_build.linked_requirements(settings)
    assert found == (project()["optional-dependencies"]["openvino"] if linked else [])


def test_what_is_fetched_is_named_by_its_hash() -> None:
    named = set(tomllib.loads((ROOT / "cmake" / "native.toml").read_text(encoding="ascii"))) - {"OpenVINO"}
    fetched = (ROOT / "cmake" / "fetched_libraries.cmake").read_text(encoding="ascii")
    assert set(re.findall(r"if\(NOT (\w+)_FOUND\)", fetched)) == named
    assert len(re.findall(r"^  medsam_engine_fetch\(\w+ [0-9a-f]{64}$", fetched, re.MULTILINE)) == len(named)
    assert "FetchContent_Declare" not in (ROOT / "cmake" / "dependencies.cmake").read_text(encoding="ascii")


def test_the_bill_of_materials_has_what_readers_need() -> None:
    bill = json.loads((ROOT / "sbom.cdx.json").read_text(encoding="ascii"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    references = [part["bom-ref"] for part in bill["components"]]
    assert len(references) == len(set(references))
    assert set(bill["dependencies"][0]["dependsOn"]) <= set(references)
    assert {"pypi/numpy", "pypi/openvino", "native/OpenVINO"} <= set(bill["dependencies"][0]["dependsOn"])
    assert all(part["purl"].startswith("pkg:") for part in bill["components"])


def calls(folder: str) -> list[tuple[str, ast.Call]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}", node)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


@pytest.mark.parametrize("folder", ["python", "tools", "scripts", "benchmarks", "build_backend"])
def test_nothing_is_unpickled(folder: str) -> None:
    """torch.load only with weights_only, numpy.load never with allow_pickle, and no call of pickle's."""
    for where, call in calls(folder):
        name = ast.unparse(call.func)
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name.endswith("torch.load"):
            assert keywords.get("weights_only") == "True", where
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle", "False") == "False", where
        assert name.split(".")[0] not in ("pickle", "cPickle", "dill", "marshal", "shelve", "joblib"), where
        assert name not in ("eval", "exec", "os.system", "yaml.load"), where
