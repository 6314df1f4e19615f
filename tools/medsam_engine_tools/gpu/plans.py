# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Compiles a bundle for GPUs that are not here: plans of TensorRT for RTX, built ahead of time, without a GPU or torch.

A plan goes into the engine's cache folder under the fingerprint that the CUDA plugin computes on the machine with the
GPU (cpp/src/backends/tensorrt/plan.cpp; docs/gpu.md, "Plans", is the contract of the two). The Python package is used
because TensorRT for RTX has its choice of GPU generations in no published C++ header.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine.base.packages import pip_install
from medsam_engine.base.whole_file import make_private_folder, write_atomically
from medsam_engine.paths import xdg_folder
from medsam_engine_tools.bundle import variants
from medsam_engine_tools.bundle.content_hash import content_hash
from medsam_engine_tools.errors import ExportError

Progress = Callable[[str], None]
Shape = Sequence[int]
Range = tuple[int, int, int]  # least, most common, most

# plan.cpp's kBatch, kTokens and kIndices.
BATCH: Range = (1, 4, 16)
TOKENS: Range = (1, 2, 64)
INDICES: Range = (1, 1, 8)
CACHE_VARIABLE = "MEDSAM_ENGINE_CACHE"


@dataclass(frozen=True)
class PlanModel:
    """A graph of a bundle and the shapes that the engine compiles it for: `shapes[i]` of input i, -1 = dynamic."""

    role: str
    path: Path
    precision: str
    content_hash: str
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    files: tuple[tuple[str, str], ...]  # names and SHA-256: the graph, then its data files


def dimension_range(shape: Shape, dimension: int) -> Range:
    """What a dimension may be; a fixed one is itself."""
    if shape[dimension] >= 0:
        return (shape[dimension],) * 3
    if len(shape) == 1:
        return INDICES
    return BATCH if dimension == 0 else TOKENS


def extreme_shapes(shape: Shape) -> tuple[tuple[int, ...], ...]:
    """The least, the most common and the greatest shape of an input."""
    return tuple(tuple(dimension_range(shape, d)[which] for d in range(len(shape))) for which in range(3))


def fingerprint(model: PlanModel, library: str, target: str) -> str:
    """The text that names all a plan depends on; plan_fingerprint() of plan.cpp."""
    inputs = (
        f"input {name} " + " ".join("x".join(map(str, extreme)) for extreme in extreme_shapes(shape))
        for name, shape in zip(model.names, model.shapes, strict=True)
    )
    head = (
        "medsam-engine plan 2",
        f"library {library}",
        f"target {target}",
        f"precision {model.precision}",
        f"model {model.content_hash}",
    )
    return "".join(f"{line}\n" for line in (*head, *inputs))


def plan_path(cache: Path, text: str) -> Path:
    """Where the plan of a fingerprint lies."""
    return cache / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()}.plan"


def _content(text: str, plan: bytes) -> bytes:
    return f"{text}sha256 {hashlib.sha256(plan).hexdigest()}\n\n".encode() + plan


def is_stored(cache: Path, text: str) -> bool:
    """Whether the cache holds the very plan of this fingerprint, whole."""
    path = plan_path(cache, text)
    if not path.is_file():
        return False
    stored = path.read_bytes()
    header = len(text.encode()) + len("sha256 ") + 64 + 2
    return len(stored) > header and stored == _content(text, stored[header:])


def store(cache: Path, text: str, plan: bytes) -> Path:
    """Writes a plan, whole or not at all."""
    path = plan_path(cache, text)
    make_private_folder(path.parent)
    write_atomically(path, _content(text, plan), private=True)
    return path


def cache_folder(wanted: str | os.PathLike[str] | None = None) -> Path:
    """The engine's cache folder, chosen as EngineOptions::cache_dir is. ExportError for "none"."""
    named = os.fspath(wanted) if wanted is not None else os.environ.get(CACHE_VARIABLE, "")
    if named == "none":
        raise ExportError("cache: got none, expected a folder to keep plans in; name one")
    if named:
        return Path(named)
    return xdg_folder("XDG_CACHE_HOME", ".cache")


def _copy_verified(source: Path, sha256: str, target: Path) -> None:
    """Copies a file of a bundle as it is hashed, each byte read once: what was verified is what is compiled."""
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file, target.open("xb") as copy:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                copy.write(chunk)
    except OSError as error:
        raise ExportError(f"'{source}': {error.strerror}; export or fetch the bundle again") from error
    if digest.hexdigest() != sha256:
        raise ExportError(
            f"'{source}' is not the manifest's (sha256 {digest.hexdigest()[:12]}...); export or fetch it again"
        )


def _roles(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Role, precision and entry of every graph."""
    experts = content.get("experts")
    parts = experts.values() if experts else [{name: name for name in content["models"]}]
    for part in parts:
        for role, name in part.items():
            yield role, "f32", content["models"][name]
            if variants.has_f16(content):
                yield role, "f16", variants.f16_models(content)[name]


def bundle_models(bundle: Path) -> list[PlanModel]:
    """The graphs of a bundle, each once; the encoder for one image, as the engine runs it. ExportError."""
    try:
        content = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        variants.expect_graphs(content)
        roles = list(_roles(content))
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"bundle '{bundle}' has no manifest of this version; export it again") from error
    models: dict[str, PlanModel] = {}
    for role, precision, entry in roles:
        shapes = [tuple(tensor["shape"]) for tensor in entry["inputs"]]
        if role == "encoder":
            shapes = [(1, *shape[1:]) for shape in shapes]
        names = tuple(tensor["name"] for tensor in entry["inputs"])
        files = tuple((str(item["file"]), str(item["sha256"])) for item in (entry, *entry.get("data", ())))
        path = bundle / entry["file"]
        found = PlanModel(role, path, precision, content_hash(entry), names, tuple(shapes), files)
        models[found.content_hash] = found
    return list(models.values())


def tensorrt() -> Any:
    """The package tensorrt_rtx. ExportError when it is not installed."""
    try:
        import tensorrt_rtx
    except ImportError as error:
        raise ExportError(
            "got no TensorRT for RTX, expected the package tensorrt_rtx; " + pip_install("tensorrt_rtx")
        ) from error
    return tensorrt_rtx


def library_name() -> str:
    """As the plugin names the library, e.g. "TensorRT-RTX 1.7.1.116"."""
    return f"TensorRT-RTX {tensorrt().__version__}"


def known_targets() -> list[str]:
    """The GPU generations that this TensorRT for RTX compiles for, e.g. "sm_89"."""
    members = tensorrt().ComputeCapability.__members__
    return [f"sm_{name[2:]}" for name in members if name.startswith("SM")]


def check_targets(targets: Iterable[str]) -> list[str]:
    """The targets, each once. ExportError for one that the library does not know."""
    wanted = list(dict.fromkeys(targets))
    known = known_targets()
    for target in wanted:
        if target not in known:
            raise ExportError(f"target: got '{target}', expected of {', '.join(known)} ({library_name()})")
    if not wanted:
        raise ExportError(f"target: got none, expected of {', '.join(known)}")
    return wanted


def _error_log(trt: Any) -> Any:
    class ErrorLog(trt.ILogger):  # type: ignore[misc]  # the base class is known at run time only
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(" ".join(text.split())[:400])

    return ErrorLog()


def build(model: PlanModel, target: str | None) -> bytes:
    """The plan of a graph for one GPU generation; None = for all that the library takes by itself. ExportError."""
    # A folder of its own, mode 0700: nobody exchanges a file between its verification and the compilation.
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as name:
        for file, sha256 in model.files:
            _copy_verified(model.path.with_name(file), sha256, Path(name, file))
        return _build(model, Path(name, model.path.name), target)


def _build(model: PlanModel, graph: Path, target: str | None) -> bytes:
    trt = tensorrt()
    log = _error_log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(0)  # strongly typed, as all of TensorRT for RTX's are
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        errors = "; ".join(parser.get_error(i).desc() for i in range(min(parser.num_errors, 3)))
        raise ExportError(f"'{model.path}': TensorRT does not read it: {' '.join(errors.split())}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # f32 means f32
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{target[3:]}"), 0)
    profile = builder.create_optimization_profile()
    dynamic = False
    for i, (name, shape) in enumerate(zip(model.names, model.shapes, strict=True)):
        tensor = network.get_input(i)
        if tensor is None or tensor.name != name:
            raise ExportError(f"'{model.path}': input {i} is not '{name}' as the manifest says; export it again")
        if -1 not in shape:
            tensor.shape = shape
            continue
        dynamic = True
        profile.set_shape(name, *extreme_shapes(shape))
    if dynamic:
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"'{model.path}': TensorRT builds no plan: {'; '.join(log.errors)}")
    return bytes(plan)


def build_plans(
    bundle: str | os.PathLike[str],
    targets: Sequence[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Builds what is not yet in the cache for every graph and target; returns the plans' files. ExportError."""
    report: Progress = progress or (lambda _: None)
    folder = cache_folder(cache)
    wanted = check_targets(targets)
    library = library_name()
    files = []
    for model in bundle_models(Path(bundle)):
        for target in wanted:
            text = fingerprint(model, library, target)
            if is_stored(folder, text):
                report(f"{model.role} {model.precision}, {target}: is there")
                files.append(plan_path(folder, text))
                continue
            plan = build(model, target)
            files.append(store(folder, text, plan))
            report(f"{model.role} {model.precision}, {target}: {len(plan) / 1e6:.0f} MB")
    return files
