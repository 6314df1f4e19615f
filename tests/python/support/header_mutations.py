# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Headers of NRRD, MetaImage, NIfTI, TIFF and NPZ files with fields changed; hypothesis draws what and how."""

import io
import struct
import warnings
import zipfile
from typing import Any

import numpy as np
from hypothesis import strategies as st
from mutations import TEXTS, Changed, Strategy

from medsam_engine.io.nifti.header import DTYPES


def text_header(content: bytes, end: bytes, separator: str) -> Strategy:
    """Lines of a NRRD or MetaImage header changed, left out, repeated or exchanged; up to and with `end`."""
    head = content.index(end) + len(end)
    lines = content[:head].decode("latin-1").split("\n")
    body = content[head:]

    @st.composite
    def change(draw: st.DrawFn) -> Changed:
        made = list(lines)
        done = []
        for _ in range(draw(st.integers(1, 2))):
            at = draw(st.integers(0, len(made) - 1))
            kind = draw(st.sampled_from(("value", "word", "out", "twice", "type")))
            name, found, value = made[at].partition(separator)
            if kind == "out":
                done.append(f"without {made.pop(at)!r}")
                if not made:
                    made = [""]
                continue
            if kind == "twice":
                made.insert(at, made[at])
            elif kind == "value" and found:
                made[at] = name + found + draw(TEXTS).replace("\\", " ")
            elif kind == "type":
                made = [_exchanged(line, draw) if line == made[at] else line for line in made]
            elif found and value.split():
                words = value.split(" ")
                words[draw(st.integers(0, len(words) - 1))] = draw(TEXTS).replace("\\", " ")
                made[at] = name + found + " ".join(words)
            done.append(f"{kind}: {made[at]!r}")
        return Changed("\n".join(made).encode("latin-1") + body, "; ".join(done))

    return change()


_WORDS = [
    "uint8",
    "int16",
    "uint16",
    "int32",
    "float",
    "double",
    "raw",
    "gzip",
    "ascii",
    "little",
    "big",
    "left-posterior-superior",
    "right-anterior-superior",
    "RGB-color",
    "HSV-color",
    "vector",
    "list",
    "domain",
    "none",
    "MET_UCHAR",
    "MET_SHORT",
    "MET_USHORT",
    "MET_FLOAT",
    "MET_DOUBLE",
    "MET_CHAR",
    "True",
    "False",
    "LOCAL",
    "LPS",
    "RAI",
    "(1,0,0)",
    "(0,5,0,0)",
    "(0,-1,0)",
]


def _exchanged(line: str, draw: st.DrawFn) -> str:
    words = line.split(" ")
    words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(_WORDS))
    return " ".join(words)


def nifti_header(content: bytes) -> Strategy:
    """Fields of a NIfTI header changed, in its own byte order."""
    order, version = next(
        (order, version)
        for order in "<>"
        for version, size in ((1, 348), (2, 540))
        if struct.unpack(order + "i", content[:4])[0] == size
    )
    dtype = DTYPES[version].newbyteorder(order)  # type: ignore[arg-type]  # "<" or ">"
    known = [
        "dim",
        "datatype",
        "bitpix",
        "pixdim",
        "vox_offset",
        "scl_slope",
        "scl_inter",
        "xyzt_units",
        "qform_code",
        "sform_code",
        "quatern",
        "qoffset",
        "srow",
        "magic",
        "intent_code",
        "sizeof_hdr",
    ]
    numbers = st.one_of(
        st.sampled_from([0, 1, -1, 2, 3, 4, 8, 16, 64, 128, 256, 512, 768, 1024, 1280, 2304, 352, 544]),
        st.integers(-300, 300),
        st.floats(-3, 3),
        st.sampled_from([float("nan"), float("inf"), 1e-40, 1e38, -32768, 32767, 0.999, 1.01]),
    )

    @st.composite
    def change(draw: st.DrawFn) -> Changed:
        header = np.frombuffer(bytearray(content[: dtype.itemsize]), dtype)[0:1].reshape(())
        done = []
        for _ in range(draw(st.integers(1, 3))):
            name = draw(st.sampled_from(known))
            field = header[name]
            if name == "magic":
                value: Any = draw(st.sampled_from([b"n+1", b"ni1", b"n+2", b"", b"n+3"]))
                header[name] = value
            else:
                value = draw(numbers)
                flat = np.array(field, ndmin=1).ravel()
                k = draw(st.integers(0, len(flat) - 1))
                with np.errstate(all="ignore"):
                    flat[k] = np.array(value).astype(flat.dtype)
                header[name] = flat.reshape(np.shape(field))
                value = f"[{k}] {value}"
            done.append(f"{name} {value}")
        return Changed(header.tobytes() + content[dtype.itemsize :], "; ".join(done))

    return change()


def tiff_tags(content: bytes) -> Strategy:
    """Entries of the first directory of a classic TIFF file: tag, type, count or value changed, or one left out."""
    order = "<" if content[:2] == b"II" else ">"
    directory = struct.unpack(order + "I", content[4:8])[0]
    count = struct.unpack(order + "H", content[directory : directory + 2])[0]
    numbers = st.one_of(
        st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64, 65535, 32773, 0xFFFFFFFF, 1 << 31]),
        st.integers(0, 300),
    )

    @st.composite
    def change(draw: st.DrawFn) -> Changed:
        made = bytearray(content)
        done = []
        for _ in range(draw(st.integers(1, 2))):
            at = directory + 2 + 12 * draw(st.integers(0, count - 1))
            tag, kind, length = struct.unpack_from(order + "HHI", made, at)
            what = draw(st.sampled_from(("value", "value", "value", "count", "type", "tag")))
            value = draw(numbers)
            if what == "value":
                form = "H" if kind == 3 and length == 1 else "I"
                struct.pack_into(order + form, made, at + 8, value & (0xFFFF if form == "H" else 0xFFFFFFFF))
            elif what == "count":
                struct.pack_into(order + "I", made, at + 4, value)
            else:
                struct.pack_into(order + "H", made, at + (2 if what == "type" else 0), value & 0xFFFF)
            done.append(f"{what} of tag {tag}: {value}")
        return Changed(bytes(made), "; ".join(done))

    return change()


def npz_arrays(arrays: dict[str, np.ndarray[Any, Any]]) -> Strategy:
    """Headers of the arrays in an archive changed as text, their bytes cut off, or their names exchanged."""
    words = (
        "'<i2'",
        "'>i2'",
        "'<f4'",
        "'<f8'",
        "'|u1'",
        "'|b1'",
        "'<c8'",
        "'|O'",
        "'<i8'",
        "'<M8[s]'",
        "True",
        "0",
        "-1",
        "3",
    )

    @st.composite
    def change(draw: st.DrawFn) -> Changed:
        packed, done = io.BytesIO(), []
        chosen = draw(st.sampled_from(sorted(arrays)))
        method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
        with zipfile.ZipFile(packed, "w", method) as archive:
            for key, values in arrays.items():
                name = key
                written = io.BytesIO()
                np.save(written, values)
                content = written.getvalue()
                if key == chosen:
                    kind = draw(st.sampled_from(("word", "cut", "appended", "name", "bytes")))
                    if kind == "word":
                        length = struct.unpack("<H", content[8:10])[0]
                        text = content[10 : 10 + length].decode("latin-1").rstrip()
                        old = draw(
                            st.sampled_from(
                                [w for w in (f"'{values.dtype.str}'", "False", "(", ")", "3", "4") if w in text]
                            )
                        )
                        text = text.replace(old, draw(st.sampled_from(words)), 1)
                        content = (
                            content[:8]
                            + struct.pack("<H", len(text) + 1)
                            + text.encode()
                            + b"\n"
                            + content[10 + length :]
                        )
                        done.append(text)
                    elif kind == "cut":
                        content = content[: draw(st.integers(0, len(content)))]
                    elif kind == "appended":
                        content += draw(st.binary(min_size=1, max_size=9))
                    elif kind == "name":
                        name = draw(st.sampled_from(["", "imgs", "Imgs", "segs", "../imgs", "spacing"]))
                    else:
                        made = bytearray(content)
                        made[draw(st.integers(0, len(made) - 1))] = draw(st.integers(0, 255))
                        content = bytes(made)
                    done.append(f"{kind} of {key}")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of two arrays of one name, which is what is meant
                    archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, method)
        return Changed(packed.getvalue(), "; ".join(done))

    return change()
