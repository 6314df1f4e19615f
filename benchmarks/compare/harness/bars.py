# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The targets of the comparison: each target, what was measured, and whether it is met."""

from dataclasses import dataclass

from benchmarks.compare.harness.results import Figure, Results


@dataclass(frozen=True)
class Bar:
    """One row of the table."""

    what: str
    required: str
    measured: str
    met: bool | None
    """None where a side was not measured."""

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


def _ratio(what: str, ours: Figure | None, theirs: Figure | None, against: str, at_least: float) -> Bar:
    required = f"{at_least:g}x {against}"
    if ours is None or theirs is None:
        return Bar(what, required, "-", None)
    ratio = theirs.median / ours.median
    times = f"{_duration(theirs)} / {_duration(ours)}"
    return Bar(what, required, f"{ratio:.2f}x ({times})", ratio >= at_least)


def _duration(figure: Figure) -> str:
    text = f"{figure.median:.2f} s" if figure.median >= 1 else f"{figure.median * 1e3:.1f} ms"
    return text + (" extrapolated" if figure.extrapolated else "")


def _at_most(what: str, value: float | None, limit: float, unit: str) -> Bar:
    required = f"at most {limit:g} {unit}"
    if value is None:
        return Bar(what, required, "-", None)
    return Bar(what, required, f"{value:.4g} {unit}", value <= limit)


def must_show(results: Results, encoder_precision: str) -> list[Bar]:
    """Every row; `encoder_precision` is what the encoder of `ours` computes in."""
    r = results
    one, cells, brain = (
        "medsam-npz, one 512x512 image, one box, warm cache",
        "89 boxes on one microscopy image, whole process",
        "13-object brain volume, whole process",
    )
    encode, prompt, batch = "encode", "next prompt on a cached embedding, to 1024x1024", "a prompt in a batch of 16"
    exact = "ours-f32" if "ours-f32" in r.titles else "ours"
    bound = r.bounds_ms.get(encoder_precision)
    encoded = r.stage("encode", "ours")
    rows = [
        _ratio(one, r.process("one", "ours"), r.process("one", "d"), "(d)", 1.8),
        _ratio(cells, r.process("cells", "ours"), r.process("cells", "d"), "(d)", 2.8),
        _ratio(brain, r.process("brain", "ours"), r.process("brain", "d"), "(d)", 2.5),
        _ratio(f"{encode}, certified fastest ({encoder_precision})", encoded, r.stage("encode", "d"), "(d)", 2.5),
        _at_most(
            f"{encode}, against the GEMM bound of {encoder_precision}",
            encoded.median * 1e3 / bound if encoded and bound else None,
            1.3,
            "x the bound",
        ),
        _ratio(prompt, r.stage("prompt", "ours"), r.stage("prompt", "d"), "(d)", 2.0),
        _ratio(batch, r.stage("batch", "ours"), r.stage("prompt", "d"), "(d)'s prompt", 2.8),
        _ratio("f32 alone: encode", r.stage("encode", exact), r.stage("encode", "d"), "(d)", 1.15),
        _ratio("f32 alone: a prompt", r.stage("prompt", exact), r.stage("prompt", "d"), "(d)", 1.4),
        _ratio(one, r.process("one", "ours"), r.process("one", "a"), "(a)", 6.0),
        _ratio(cells, r.process("cells", "ours"), r.process("cells", "a"), "(a)", 8.0),
        _ratio(brain, r.process("brain", "ours"), r.process("brain", "a"), "(a)", 6.0),
        _ratio(encode, encoded, r.stage("encode", "a"), "(a)", 5.0),
        _ratio(prompt, r.stage("prompt", "ours"), r.stage("prompt", "a"), "(a)", 4.0),
    ]
    rows += [
        _at_most(f"peak RSS, {r.cases[case].title}", r.peak_mb(case, "ours"), 400.0, "MB")
        for case in ("one", "cells")
        if case in r.cases
    ]
    return rows
