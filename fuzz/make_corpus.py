# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes fuzz/corpus: the seeds that the targets start from, a few small files each.

``python fuzz/make_corpus.py``; the files are in git, and the same on every run.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "tests" / "data"
CORPUS = HERE / "corpus"


def write(target: str, name: str, content: bytes) -> None:
    """One seed."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def manifests() -> None:
    """The tiny bundle's manifest, plain, with certificates, and with the optional fields."""
    manifest = json.loads((DATA / "tiny_bundle" / "manifest.json").read_text(encoding="ascii"))
    write("fuzz_manifest", "tiny", json.dumps(manifest).encode())
    measured = {"machine": "m", "profile": "clinical", "images": 43, "objects": 154, "agreement_mean": 0.99}
    measured |= {"agreement_worst": 0.9, "truth_f32": 0.8, "truth": 0.8, "worst_loss": 0.01}
    measured |= {"encode_ratio": 2.0, "prompt_ratio": 1.5}
    certificate = {"precision": "bf16", "stages": {"encoder": "bf16", "decoder": "f32"}, "model_hash": "0" * 64}
    certificate |= {"backend": "fake 1", "device": "CPU", "measured": measured}
    write("fuzz_manifest", "certified", json.dumps(manifest | {"certificates": [certificate]}).encode())
    encoder = manifest["models"]["encoder"]
    quantized = {"encoder": encoder | {"rest": "f32"}}
    write("fuzz_manifest", "quantized", json.dumps(manifest | {"quantized": quantized}).encode())
    write("fuzz_manifest", "half", json.dumps(manifest | {"f16": manifest["models"]}).encode())
    # Of the weights that tests/cpp/support/tiny_bundle.cpp writes.
    fused = {}
    for role, model in manifest["models"].items():
        stage = "encoder" if role == "encoder" else "decoder"
        content = f"{stage}'s weights".encode()
        file = {
            "file": f"{stage}.fused.safetensors",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        fused[role] = model | file
    files = {stage: fused[stage]["sha256"] for stage in ("encoder", "decoder")}
    kernels = {"backend": "fake fused 1", "decoder_backend": "fake fused decoder 1"}
    stages = {"encoder": "bf16_fused", "decoder": "bf16_fused"}
    certified = {"certificates": [certificate | {"stages": stages, "fused": files | kernels}], "fused": fused}
    write("fuzz_manifest", "fused", json.dumps(manifest | certified).encode())
    tensors = {
        role: {side: model[side] for side in ("inputs", "outputs")} for role, model in manifest["models"].items()
    }
    write("fuzz_manifest", "native", json.dumps(manifest | certified | {"models": tensors}).encode())
    experts = {"a": {role: role for role in manifest["models"]}}
    modality = {"index": {"CT": 0, "MR": 1}, "experts": {"CT": "a"}, "fallback": "a"}
    write("fuzz_manifest", "experts", json.dumps(manifest | {"experts": experts, "modality": modality}).encode())


def graphs() -> None:
    """The tiny bundle's graphs, and one whose initializer lies in another file."""
    for name in ("encoder", "decoder_mask"):
        write("fuzz_onnx", name, (DATA / "tiny_bundle" / f"{name}.onnx").read_bytes())

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    entry = field(13, field(1, b"location") + field(2, b"../secret"))
    write("fuzz_onnx", "external", field(7, field(5, b"\x08\x01" + entry + b"\x70\x01")))


def npy(array: NDArray[np.generic]) -> bytes:
    """An array as an .npy file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def cases() -> None:
    """ZIPs of NumPy's as they are (first byte 0), and pairs of arrays to be packed (the others, see fuzz_npz.cpp)."""
    for name in ("2DBox_deflated", "2DBox_big_endian", "3DBox_fortran", "3DBox_no_boxes", "2DBox_objects"):
        write("fuzz_npz", name, b"\0" + (DATA / "npz" / f"{name}.npz").read_bytes())
    # 2^32 + 2^16 bytes by its header, of which 2^16 are left where a size has 32 bits, and are there.
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (65536, 65537), }"
    header += b" " * (117 - len(header)) + b"\n"
    wrapped = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(1 << 16)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("imgs.npy", wrapped), ("boxes.npy", npy(np.array([[0, 0, 4, 5]])))):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write("fuzz_npz", "2DBox_beyond_32_bits", b"\0" + out.getvalue())
    pairs = {
        "image": (np.arange(30, dtype=np.uint8).reshape(6, 5), np.array([[0, 0, 4, 5]])),
        "volume": (np.arange(60, dtype=">u2").reshape(3, 4, 5), np.array([[0, 0, 0, 4, 3, 2]], np.float32)),
        "color": (np.asfortranarray(np.arange(54, dtype=np.float32).reshape(3, 6, 3)), np.zeros((0, 4), np.int16)),
    }
    for name, (imgs, boxes) in pairs.items():
        first, second = npy(imgs), npy(boxes)
        how = round(256 * len(first) / (len(first) + len(second)))
        # Padded so that the split, in 256ths, falls between the two.
        total = len(first) * 256 // how
        while total * how // 256 < len(first):
            total += 1
        body = first + second
        body += b"\0" * max(0, total - len(body))
        write("fuzz_npz", name, bytes([how]) + body)


def embeddings() -> None:
    """What write_embedding writes for the tiny model, without the digest (cpp/src/embedding/embedding_codec.hpp)."""
    for storage, dtype in ((0, np.float32), (1, np.float16)):
        head = b"MEDSAMEB" + struct.pack("<II", 2, storage) + struct.pack("<5q", 48, 64, 32, 24, 32)
        head += struct.pack("<4d", 32, 0.5, 0.5, 0.5) + b"0" * 64 + struct.pack("<i", -1) + struct.pack("<I", 0)
        values = np.linspace(0, 1, 4 * 8 * 8).astype(dtype).tobytes()
        tensor = struct.pack("<I", 4) + struct.pack("<4q", 1, 4, 8, 8) + values
        write("fuzz_embedding", f"storage{storage}", head + struct.pack("<I", 1) + tensor)
        # Format 3: behind the channels of what the model keeps, the type, the channels and the samples of the image.
        kept = head[:8] + struct.pack("<I", 3) + head[12:]
        for number, (dtype_name, channels) in enumerate((("<u1", 1), ("<u2", 3), ("<i2", 1), ("<f4", 3))):
            samples = np.linspace(0, 200, 48 * 64 * channels).astype(dtype_name).tobytes()
            image = struct.pack("<II", number, channels) + samples
            write("fuzz_embedding", f"image{number}_{storage}", kept + image + struct.pack("<I", 1) + tensor)


def network() -> dict[str, list[int]]:
    """The tensors of the smallest TinyViT, by name; the sizes of tests/cpp/support/tiny_vit_file.hpp."""
    shapes: dict[str, list[int]] = {}
    block = "stages.1.blocks.0"
    layers = [("patch_embed.0", 3, 32), ("patch_embed.1", 32, 32)]
    for name, hidden in (("stages.0.blocks.0", 64), ("stages.0.merge", 32)):
        layers += [(f"{name}.expand", 32, hidden), (f"{name}.depthwise", 9, hidden), (f"{name}.project", hidden, 32)]
    layers += [(f"{block}.qkv", 32, 96), (f"{block}.proj", 32, 32), (f"{block}.depthwise", 9, 32)]
    layers += [(f"{block}.fc1", 32, 64), (f"{block}.fc2", 64, 32)]
    for name, rows, columns in layers:
        shapes |= {f"{name}.weight": [rows, columns], f"{name}.bias": [columns]}
    shapes |= {f"{block}.attention_biases": [1, 25], "neck.0.weight": [32, 32], "neck.1.weight": [288, 32]}
    shapes |= {f"neck.{i}.norm.{part}": [32] for i in (0, 1) for part in ("weight", "bias")}
    return shapes


def weights() -> None:
    """A file (last byte but one 0), a header with its number of floats (1), and bytes to draw sizes from (2).

    The last byte is 0 where what was loaded is to run.
    """
    about = {"format": "medsam-engine fused 1", "architecture": "tiny_vit"}
    lists = {"input_size": [32], "strides": [1, 1, 2], "windows": [5]}
    header: dict[str, object] = {"__metadata__": {"medsam_engine": json.dumps(about | lists)}}
    at = 0
    for name, shape in network().items():
        end = at + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    write("fuzz_weights", "header", json.dumps(header).encode() + struct.pack("<I", at // 4)[:3] + b"\1\0")
    one = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": header["__metadata__"]}
    text = json.dumps(one).encode()
    text += b" " * (-len(text) % 8)
    write("fuzz_weights", "file", struct.pack("<Q", len(text)) + text + bytes(8) + b"\0\0")
    draw = np.random.default_rng(1)
    for i in range(4):
        drawn = bytes(1) + draw.integers(0, 256, 64 if i else 0, np.uint8).tobytes()
        write("fuzz_weights", f"sizes{i}", drawn + b"\2" + bytes([i]))


def sessions() -> None:
    """Session files with the word PIXELS where the digest of the pixels stands, one kind of prompt each."""
    plane: dict[str, object] = {"axis": 0, "index": 1, "positive": True}
    prompts: dict[str, dict[str, object]] = {
        "box": {**plane, "kind": "box", "points": [2, 2, 8, 6]},
        "box_3d": {"kind": "box_3d", "box": [1, 1, 0, 9, 7, 3], "answer": [14, 3, 200, 9]},
        "click": {**plane, "kind": "click", "points": [4.5, 3], "answer_box": [2, 2, 8, 6]},
        "scribble": {**plane, "kind": "scribble", "points": [1, 1, 4, 3, 6, 3], "axis": 1, "positive": False},
        "lasso": {**plane, "kind": "lasso", "points": [1, 1, 7, 1, 4, 2], "axis": 2},
        "line": {**plane, "kind": "line", "points": [1, 1, 7, 6.25]},
        "mask": {"kind": "mask", "answer": [130, 5, 8, 5]},
    }
    for name, prompt in prompts.items():
        one = {"name": name, "locked": name == "mask", "prompts": [prompt], "mask": [130, 5, 8, 5, 100, 20]}
        two = {"name": "empty", "locked": False, "prompts": [], "mask": []}
        content = {"format": "medsam-session", "version": 1, "pixels": "PIXELS", "objects": [one, two]}
        write("fuzz_session_file", name, json.dumps(content, separators=(",", ":")).encode())


def numbers() -> None:
    """Bytes for the targets that draw their arguments from them."""
    draw = np.random.default_rng(1)
    for target in ("fuzz_prompts", "fuzz_kernels", "fuzz_volume_store", "fuzz_session"):
        for i, size in enumerate((16, 64, 256, 1024)):
            write(target, f"random{i}", draw.integers(0, 256, size, np.uint8).tobytes() + b"\0")
        write(target, "zeros", bytes(128))
        write(target, "ones", b"\xff" * 127 + b"\0")


if __name__ == "__main__":
    manifests()
    graphs()
    cases()
    embeddings()
    weights()
    sessions()
    numbers()
