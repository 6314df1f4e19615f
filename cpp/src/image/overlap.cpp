// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "image/overlap.hpp"

#include <algorithm>
#include <numeric>

namespace medsam {

namespace {

template <class T, class M>
void paint(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
           const std::vector<std::uint32_t>& ranks) {
  const std::uint32_t rank = ranks[label];
  for (std::int64_t y = stats.y0; y <= stats.y1; ++y) {
    M* from = reinterpret_cast<M*>(static_cast<char*>(mask.data) + y * mask.row_stride);
    T* to = reinterpret_cast<T*>(static_cast<char*>(out.data) + y * out.row_stride);
    for (std::int64_t x = stats.x0; x <= stats.x1; ++x) {
      if (from[x] != 0 && ranks[to[x]] < rank) to[x] = static_cast<T>(label);
      from[x] = 0;
    }
  }
}

template <class M>
void paint(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
           const std::vector<std::uint32_t>& ranks) {
  switch (out.type) {
    case LabelType::u8:
      return paint<std::uint8_t, M>(mask, stats, out, label, ranks);
    case LabelType::u16:
      return paint<std::uint16_t, M>(mask, stats, out, label, ranks);
    case LabelType::u32:
      return paint<std::uint32_t, M>(mask, stats, out, label, ranks);
  }
}

}  // namespace

std::vector<std::size_t> paint_order(const std::vector<double>& sizes, Overlap overlap) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (overlap == Overlap::smaller_box) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  }
  return order;
}

std::vector<std::uint32_t> ranks_of(const std::vector<std::size_t>& order) {
  std::vector<std::uint32_t> ranks(order.size() + 1);
  std::uint32_t rank = 0;
  for (const std::size_t i : order) ranks[i + 1] = ++rank;
  return ranks;
}

void paint_by_rank(const LabelView& mask, const MaskStats& stats, const LabelView& out, std::uint32_t label,
                   const std::vector<std::uint32_t>& ranks) {
  if (mask.type == LabelType::u16) return paint<std::uint16_t>(mask, stats, out, label, ranks);
  paint<std::uint8_t>(mask, stats, out, label, ranks);
}

}  // namespace medsam
