# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""JPEG lossless (ITU-T T.81, process 14): whether pixels are those that a frame holds, by encoding them again.

A decoder goes on behind damage: it fills up, skips, or takes a code that is none for zero. But pixels, predictor and
Huffman tables determine every bit of a frame's data; so pixels that give the same bits are the right ones, and of a
damaged frame none are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medsam_engine.io.dicom.codestream import START_OF_FRAME, entropy_coded, segments

_LOSSLESS, _HUFFMAN_TABLES, _START_OF_SCAN, _RESTART_INTERVAL = 0xC3, 0xC4, 0xDA, 0xDD
_CATEGORIES = 17  # SSSS, table H.2
_BLOCK = 1 << 17  # samples at a time, which take some 60 bytes each


class NotLosslessError(Exception):
    """The frame is of another process, has subsampled components, or its header is damaged."""


@dataclass(frozen=True)
class _Table:
    """By a difference modulo 2^16: its code and what follows it as one word, and the word's bits; 0 if it has none."""

    words: NDArray[np.uint64]
    lengths: NDArray[np.int64]


@dataclass
class _Scan:
    """Components in the order of the scan, their tables, predictor (1 to 7), point transform, and the data's parts."""

    components: list[int]
    tables: list[_Table]
    predictor: int
    shift: int
    restart_rows: int
    parts: list[bytes]


@dataclass
class _Header:
    bits: int = 0
    columns: int = 0
    identifiers: list[int] = field(default_factory=list)
    interval: int = 0
    tables: dict[int, _Table] = field(default_factory=dict)


def holds(frame: bytes, values: NDArray[np.integer]) -> bool:
    """Whether `values`, (rows, columns) or (rows, columns, samples), are exactly what the frame's data encodes.

    Raises:
        NotLosslessError: the frame is none of sequential, Huffman-coded, lossless components of one size.
    """
    samples = values.reshape(*values.shape[:2], -1)
    seen: list[int] = []
    for bits, scan in _scans(frame):
        seen += scan.components
        if max(scan.components) >= samples.shape[2] or not _scan_holds(scan, samples[:, :, scan.components], bits):
            return False
    return sorted(seen) == list(range(samples.shape[2]))


def _scans(frame: bytes) -> Iterator[tuple[int, _Scan]]:
    """The bits of a sample, and each scan."""
    header = _Header()
    for marker, start, stop in segments(frame):
        body = frame[start:stop]
        if marker == _HUFFMAN_TABLES:
            _read_tables(body, header.tables)
        elif marker == _RESTART_INTERVAL:
            header.interval = int.from_bytes(body[:2], "big")
        elif marker in START_OF_FRAME:
            factors = set(body[7::3])
            if header.bits or marker != _LOSSLESS or len(body) < 9 or (body[5] > 1 and factors != {0x11}):
                raise NotLosslessError
            header.bits, header.columns = body[0], int.from_bytes(body[3:5], "big")
            header.identifiers = list(body[6::3])
        elif marker == _START_OF_SCAN:
            yield header.bits, _read_scan(body, header, [frame[part] for part in entropy_coded(frame, stop)])


def _read_scan(body: bytes, header: _Header, parts: list[bytes]) -> _Scan:
    count = body[0] if body else 0
    if len(body) != 4 + 2 * count or not count or not header.columns:
        raise NotLosslessError
    try:
        components = [header.identifiers.index(number) for number in body[1 : 1 + 2 * count : 2]]
        tables = [header.tables[number >> 4] for number in body[2 : 2 + 2 * count : 2]]
    except (ValueError, KeyError) as error:
        raise NotLosslessError from error
    predictor, shift = body[1 + 2 * count], body[3 + 2 * count] & 15
    # A restart interval is a number of whole lines (H.1.1).
    if not 1 <= predictor <= 7 or shift >= header.bits or header.interval % header.columns:
        raise NotLosslessError
    return _Scan(components, tables, predictor, shift, header.interval // header.columns, parts)


def _read_tables(body: bytes, tables: dict[int, _Table]) -> None:
    while len(body) >= 17:
        counts = body[1:17]
        symbols = body[17 : 17 + sum(counts)]
        if len(symbols) != sum(counts) or max(symbols, default=0) >= _CATEGORIES:
            raise NotLosslessError
        tables[body[0] & 15] = _table(counts, symbols)
        body = body[17 + len(symbols) :]


@lru_cache(maxsize=16)
def _table(counts: bytes, symbols: bytes) -> _Table:
    """Annex C: codes of one length count upwards, and go on behind those of the length before with a 0 appended."""
    codes, bits = np.zeros(_CATEGORIES, np.uint64), np.zeros(_CATEGORIES, np.int64)
    code, at = 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[at : at + count]:
            codes[symbol], bits[symbol] = code & 0xFFFF, length
            code += 1
        code, at = code << 1, at + count
    difference = 32768 - ((32768 - np.arange(1 << 16)) & 0xFFFF)  # -32767 to 32768
    category = np.frexp(np.abs(difference).astype(np.float64))[1]
    extra = np.where(category == 16, 0, category)  # 32768 is the only one of its category (H.1.2.2)
    low = (difference - (difference < 0)) & ((1 << extra) - 1)
    lengths = np.where(bits[category] > 0, bits[category] + extra, 0)
    return _Table((codes[category] << extra.astype(np.uint64)) | low.astype(np.uint64), lengths)


def _scan_holds(scan: _Scan, samples: NDArray[np.integer], bits: int) -> bool:
    if (samples & ((1 << scan.shift) - 1)).any() or int(samples.max(initial=0)) >= 1 << bits:
        return False
    rows = scan.restart_rows or samples.shape[0]
    wanted = range(0, samples.shape[0], rows)
    return len(wanted) == len(scan.parts) and all(
        _same_bits(scan, samples[row : row + rows], 1 << (bits - scan.shift - 1), part)
        for row, part in zip(wanted, scan.parts, strict=True)
    )


def _differences(samples: NDArray[np.int32], predictor: int, start: int) -> NDArray[np.int32]:
    """Samples less their predictions (H.1.2.1), modulo 2^16."""
    left, above, corner = samples[1:, :-1], samples[:-1, 1:], samples[:-1, :-1]
    match predictor:
        case 1 | 2 | 3:
            inner = (left, above, corner)[predictor - 1]
        case 4:
            inner = left + above - corner
        case 5:
            inner = left + ((above - corner) >> 1)
        case 6:
            inner = above + ((left - corner) >> 1)
        case _:
            inner = (left + above) >> 1
    predicted = np.empty_like(samples)
    predicted[0, 0], predicted[0, 1:] = start, samples[0, :-1]
    predicted[1:, 0], predicted[1:, 1:] = samples[:-1, 0], inner
    return (samples - predicted) & 0xFFFF


def _same_bits(scan: _Scan, samples: NDArray[np.integer], start: int, data: bytes) -> bool:
    """Whether samples (rows, columns, components) give this data, but for less than a byte or padding at its end."""
    data = data.replace(b"\xff\x00", b"\xff")
    step = max(1, _BLOCK // samples[0].size)
    bits, carry = 0, 0.0  # so far, and the beginning of the word of 32 bits that is not whole yet
    for row in range(0, samples.shape[0], step):
        above = min(row, 1)
        block = samples[row - above : row + step].astype(np.int32) >> scan.shift
        words, lengths = _codes(_differences(block, scan.predictor, start)[above:], scan.tables)
        if not lengths.all():
            return False
        made, end = _joined(words, lengths, bits & 31)
        made[0] += carry
        word, whole = bits >> 5, end >> 5
        if made[:whole].astype(">u4").tobytes() != data[4 * word : 4 * (word + whole)]:
            return False
        bits, carry = 32 * word + end, made[whole]
    size, rest = (bits + 7) // 8, bits & 31
    last = int.from_bytes(data[4 * (bits >> 5) : size].ljust(4, b"\0"), "big")
    return len(data) >= size and last >> (32 - rest) == int(carry) >> (32 - rest) and len(set(data[size:])) <= 1


def _codes(differences: NDArray[np.int32], tables: list[_Table]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    words, lengths = np.empty(differences.shape, np.uint64), np.empty(differences.shape, np.int64)
    for k, table in enumerate(tables):
        words[..., k], lengths[..., k] = table.words[differences[..., k]], table.lengths[differences[..., k]]
    return words.ravel(), lengths.ravel()


def _joined(words: NDArray[np.uint64], lengths: NDArray[np.int64], first: int) -> tuple[NDArray[np.float64], int]:
    """Words behind each other from bit `first` on, as numbers of 32 bits, and where they end."""
    ends = np.cumsum(lengths) + first
    starts = ends - lengths
    placed = words << (64 - lengths - (starts & 31)).astype(np.uint64)  # a word of at most 32 bits lies in two of 32
    at, end = starts >> 5, int(ends[-1])
    # Bits do not overlap, so that sums are unions; float64 holds 32 bits exactly.
    made = np.zeros((end >> 5) + 2)
    made += np.bincount(at, (placed >> np.uint64(32)).astype(np.float64), len(made))
    made += np.bincount(at + 1, (placed & np.uint64(0xFFFFFFFF)).astype(np.float64), len(made))
    return made, end
