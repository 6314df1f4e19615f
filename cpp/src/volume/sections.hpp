// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Where to ask about a slice of an object that is a solid: the sections of superellipsoids, |x/a|^p + |y/b|^p + |z/c|^p
// = 1, that a box bounds. Pure functions; docs/profiles.md has what they are worth.
#pragma once

#include <array>
#include <vector>

namespace medsam {

/// x0, y0, x1, y1 of any frame.
using Corners = std::array<double, 4>;

/// By how much a superellipsoid of this exponent draws in each end of a side of this extent, at `t` of the way from its
/// middle (0) to its top (1). The same for t and -t; half the extent at most.
double section_inset(double extent, double t, double exponent);

/// The boxes round the sections at `t` of the superellipsoids of these exponents, whose widest section has the box
/// `corners`: one per exponent, in their order, without repetitions. `whole`: the ends stay where whole steps from
/// `corners` lead, those at half a step the outer ones, so that a mirrored box has mirrored sections.
std::vector<Corners> section_boxes(const Corners& corners, double t, const std::vector<double>& exponents, bool whole);

}  // namespace medsam
