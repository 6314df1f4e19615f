// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Area resize by whole factors. Sums of integer samples below 2^24 are exact in single precision, so rows may be added
// first and columns after, in any order. Where that does not hold (f32 images, and 16-bit ones by 257 pixels or more a
// cell) the oracle itself does the work: exact, rare, slow.
#if defined(MEDSAM_KERNELS_RESIZE_AREA_INTEGER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_RESIZE_AREA_INTEGER_INL_H_
#undef MEDSAM_KERNELS_RESIZE_AREA_INTEGER_INL_H_
#else
#define MEDSAM_KERNELS_RESIZE_AREA_INTEGER_INL_H_
#endif

#include "kernels/base/carver.hpp"
#include "kernels/pixels/math/resize_plan.hpp"
#include "kernels/pixels/reference/reference.hpp"
#include "kernels/pixels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

struct BlockBuffers {
  float* columns;  // (image width * channels): sums of factor_y rows
  float* total;    // (width * channels)
};

inline BlockBuffers take_block_buffers(const Pixels& image, std::int64_t width, Carver& carver) {
  const auto channels = static_cast<std::size_t>(image.channels);
  BlockBuffers b{};
  b.columns = carver.take<float>(static_cast<std::size_t>(image.width) * channels);
  b.total = carver.take<float>(static_cast<std::size_t>(width) * channels);
  return b;
}

/// sums = top + bottom, or sums += top + bottom. Two rows a pass, or one: bottom is null.
template <typename T>
HWY_NOINLINE void add_samples(const T* HWY_RESTRICT top, const T* HWY_RESTRICT bottom, bool first, std::int64_t n,
                              float* HWY_RESTRICT sums) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto v = load_samples(d, top + i);
    if (bottom != nullptr) v = hn::Add(v, load_samples(d, bottom + i));
    if (!first) v = hn::Add(v, hn::LoadU(d, sums + i));
    hn::StoreU(v, d, sums + i);
  }
  for (; i < n; ++i) {
    const float pair = static_cast<float>(top[i]) + (bottom != nullptr ? static_cast<float>(bottom[i]) : 0.F);
    sums[i] = first ? pair : sums[i] + pair;
  }
}

/// out[x] = sum of `factor` neighboring columns, one channel.
HWY_NOINLINE void sum_columns_1(const float* HWY_RESTRICT columns, std::int64_t factor, std::int64_t width,
                                float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto index = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<std::int32_t>(factor)));
  std::int64_t x = 0;
  for (; x + lanes <= width; x += lanes) {
    const float* p = columns + x * factor;
    auto sum = hn::Zero(d);
    if (factor == 2) {
      hn::Vec<decltype(d)> even, odd;
      hn::LoadInterleaved2(d, p, even, odd);
      sum = hn::Add(even, odd);
    } else {
      for (std::int64_t k = 0; k < factor; ++k) sum = hn::Add(sum, hn::GatherIndex(d, p + k, index));
    }
    hn::StoreU(sum, d, out + x);
  }
  for (; x < width; ++x) {
    out[x] = 0.F;
    for (std::int64_t k = 0; k < factor; ++k) out[x] += columns[x * factor + k];
  }
}

/// The same for 3 channels: lanes are the channels, the fourth is idle and overwritten by the next pixel.
HWY_NOINLINE void sum_columns_3(const float* HWY_RESTRICT columns, std::int64_t factor, std::int64_t width,
                                float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d;
  for (std::int64_t x = 0; x < width; ++x) {
    const float* p = columns + x * factor * 3;
    auto sum = hn::LoadU(d, p);
    for (std::int64_t k = 1; k < factor; ++k) sum = hn::Add(sum, hn::LoadU(d, p + k * 3));
    hn::StoreU(sum, d, out + x * 3);
  }
}

/// 2 x 2: (sum + 2) >> 2, halves up.
template <typename T>
HWY_NOINLINE void quarter_row(const float* HWY_RESTRICT sums, std::int64_t n, T* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<T, decltype(d)> dt;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto sum = hn::Add(hn::ConvertTo(di, hn::LoadU(d, sums + i)), hn::Set(di, 2));
    hn::StoreU(hn::DemoteTo(dt, hn::ShiftRight<2>(sum)), dt, out + i);
  }
  for (; i < n; ++i) out[i] = static_cast<T>((static_cast<std::int32_t>(sums[i]) + 2) >> 2);
}

/// One multiplication by 1 / area, then round.
template <typename T>
HWY_NOINLINE void scale_round_row(const float* HWY_RESTRICT sums, float scale, std::int64_t n, T* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store_rounded(d, hn::Mul(hn::LoadU(d, sums + i), hn::Set(d, scale)), out + i);
  }
  for (; i < n; ++i) out[i] = round_to<T>(sums[i] * scale);
}

template <typename T>
void resize_area_integer(const Pixels& image, const ResizePlan& plan, const BlockBuffers& buffers, std::int64_t height,
                         std::int64_t width, T* out) {
  const std::int64_t area = plan.factor_x * plan.factor_y;
  if constexpr (std::is_same_v<T, float>) {
    reference::resize<T>(image, plan, height, width, out);
  } else {
    constexpr std::int64_t largest = std::numeric_limits<T>::max() + std::int64_t{1};  // covers -32768
    if (area * largest > (std::int64_t{1} << 24)) {
      reference::resize<T>(image, plan, height, width, out);
      return;
    }
    const std::int64_t n = width * image.channels;
    for (std::int64_t y = 0; y < height; ++y, out += n) {
      for (std::int64_t k = 0; k < plan.factor_y; k += 2) {
        const std::int64_t top = y * plan.factor_y + k;
        const T* bottom = k + 1 < plan.factor_y ? row_of<T>(image, top + 1) : nullptr;
        add_samples(row_of<T>(image, top), bottom, k == 0, image.width * image.channels, buffers.columns);
      }
      if (image.channels == 1) {
        sum_columns_1(buffers.columns, plan.factor_x, width, buffers.total);
      } else {
        sum_columns_3(buffers.columns, plan.factor_x, width, buffers.total);
      }
      if (plan.factor_x == 2 && plan.factor_y == 2) {
        quarter_row(buffers.total, n, out);
      } else {
        scale_round_row(buffers.total, 1.F / static_cast<float>(area), n, out);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
