// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which object keeps a pixel that several claim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bundle/profile.hpp"
#include "medsam/image.hpp"

namespace medsam {

/// For objects of these sizes (areas or volumes of their boxes), the order in which to paint them so that what
/// `overlap` favors is painted last: indices into `sizes`.
std::vector<std::size_t> paint_order(const std::vector<double>& sizes, Overlap overlap);

/// By label, 0 (background) to order.size(): the higher rank keeps a pixel. Object i of a paint_order has label i + 1.
std::vector<std::uint32_t> ranks_of(const std::vector<std::size_t>& order);

/// Writes `label` where `mask` has a value and `out`, a view of the same size, a label of a lower rank, and clears
/// `mask`: u8 or u16, whose values `stats` describes, as MaskStats of an empty mask, too.
void paint_by_rank(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
                   const std::vector<std::uint32_t>& ranks);

}  // namespace medsam
