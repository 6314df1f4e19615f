// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Linear and cubic resize. Horizontal sums are single precision for every type (for u8 they are whole numbers below
// 2^24, hence exact) and are kept for the 2 or 4 source rows in use. Same bits as the oracle.
#if defined(MEDSAM_KERNELS_RESIZE_TAPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_RESIZE_TAPS_INL_H_
#undef MEDSAM_KERNELS_RESIZE_TAPS_INL_H_
#else
#define MEDSAM_KERNELS_RESIZE_TAPS_INL_H_
#endif

#include "kernels/base/carver.hpp"
#include "kernels/pixels/math/resize_plan.hpp"
#include "kernels/pixels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

struct TapBuffers {
  float* wide;     // the source row as floats
  float* rows[4];  // horizontal sums of the source rows in use, (width * channels) each
};

inline TapBuffers take_tap_buffers(const Pixels& image, std::int64_t width, Carver& carver) {
  const auto channels = static_cast<std::size_t>(image.channels);
  TapBuffers b{};
  b.wide = carver.take<float>(static_cast<std::size_t>(image.width) * channels);
  for (float*& row : b.rows) row = carver.take<float>(static_cast<std::size_t>(width) * channels);
  return b;
}

template <int kTaps>
HWY_NOINLINE void sum_taps_1(const float* HWY_RESTRICT wide, const AxisTaps& taps, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t x = 0;
  for (; x + lanes <= taps.size; x += lanes) {
    auto sum = hn::Mul(hn::GatherIndex(d, wide, hn::LoadU(di, taps.index + x)), hn::LoadU(d, taps.weight + x));
    for (int k = 1; k < kTaps; ++k) {
      const std::int64_t at = k * taps.size + x;
      sum = hn::Add(sum,
                    hn::Mul(hn::GatherIndex(d, wide, hn::LoadU(di, taps.index + at)), hn::LoadU(d, taps.weight + at)));
    }
    hn::StoreU(sum, d, out + x);
  }
  for (; x < taps.size; ++x) {
    float sum = wide[taps.index[x]] * taps.weight[x];
    for (int k = 1; k < kTaps; ++k) sum += wide[taps.index[k * taps.size + x]] * taps.weight[k * taps.size + x];
    out[x] = sum;
  }
}

/// Lanes are the channels; the fourth lane is idle and overwritten by the next pixel.
template <int kTaps>
HWY_NOINLINE void sum_taps_3(const float* HWY_RESTRICT wide, const AxisTaps& taps, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d;
  for (std::int64_t x = 0; x < taps.size; ++x) {
    auto sum = hn::Mul(hn::LoadU(d, wide + taps.index[x] * 3), hn::Set(d, taps.weight[x]));
    for (int k = 1; k < kTaps; ++k) {
      const std::int64_t at = k * taps.size + x;
      sum = hn::Add(sum, hn::Mul(hn::LoadU(d, wide + taps.index[at] * 3), hn::Set(d, taps.weight[at])));
    }
    hn::StoreU(sum, d, out + x * 3);
  }
}

/// The source rows in use, by source index.
template <typename T, int kTaps>
class TapRows {
 public:
  TapRows(const Pixels& image, const AxisTaps& taps_x, const TapBuffers& buffers)
      : image_(image), taps_x_(taps_x), buffers_(buffers) {
    for (std::int32_t& held : held_) held = -1;
    for (int i = 0; i < 4; ++i) buffers_.wide[image.width * image.channels + i] = 0.F;  // read by the idle lane
  }

  /// rows[k] = horizontal sums of source row wanted[k]; wanted rises, perhaps with repeats.
  void get(const std::int32_t* wanted, const float** rows) {
    for (int k = 0; k < kTaps; ++k) {
      int slot = find(wanted[k]);
      if (slot < 0) {
        slot = free_slot(wanted);
        fill(wanted[k], slot);
      }
      rows[k] = buffers_.rows[slot];
    }
  }

 private:
  int find(std::int32_t y) const {
    for (int slot = 0; slot < kTaps; ++slot) {
      if (held_[slot] == y) return slot;
    }
    return -1;
  }

  int free_slot(const std::int32_t* wanted) const {
    for (int slot = 0; slot < kTaps; ++slot) {
      bool needed = false;
      for (int k = 0; k < kTaps; ++k) needed = needed || held_[slot] == wanted[k];
      if (!needed) return slot;
    }
    return 0;  // not reached: kTaps slots hold at most kTaps - 1 wanted rows while one is missing
  }

  void fill(std::int32_t y, int slot) {
    held_[slot] = y;
    widen(row_of<T>(image_, y), image_.width * image_.channels, buffers_.wide);
    if (image_.channels == 1) {
      sum_taps_1<kTaps>(buffers_.wide, taps_x_, buffers_.rows[slot]);
    } else {
      sum_taps_3<kTaps>(buffers_.wide, taps_x_, buffers_.rows[slot]);
    }
  }

  const Pixels& image_;
  const AxisTaps& taps_x_;
  TapBuffers buffers_;
  std::int32_t held_[kTaps];
};

template <typename T>
HWY_NOINLINE void blend_linear(const float* const* s, const float* b, std::int64_t n, T* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto b0 = hn::Set(d, b[0]), b1 = hn::Set(d, b[1]);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store_rounded(d, hn::Add(hn::Mul(hn::LoadU(d, s[0] + i), b0), hn::Mul(hn::LoadU(d, s[1] + i), b1)), out + i);
  }
  for (; i < n; ++i) out[i] = round_to<T>(s[0][i] * b[0] + s[1][i] * b[1]);
}

/// u8: see linear_y_u8.
HWY_NOINLINE void blend_linear(const float* const* s, const float* b, std::int64_t n, std::uint8_t* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> du8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto w0 = static_cast<std::int32_t>(b[0]), w1 = static_cast<std::int32_t>(b[1]);
  const auto b0 = hn::Set(di, w0), b1 = hn::Set(di, w1);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto s0 = hn::ShiftRight<4>(hn::ConvertTo(di, hn::LoadU(d, s[0] + i)));
    const auto s1 = hn::ShiftRight<4>(hn::ConvertTo(di, hn::LoadU(d, s[1] + i)));
    const auto sum = hn::Add(hn::ShiftRight<16>(hn::Mul(s0, b0)), hn::ShiftRight<16>(hn::Mul(s1, b1)));
    hn::StoreU(hn::DemoteTo(du8, hn::ShiftRight<2>(hn::Add(sum, hn::Set(di, 2)))), du8, out + i);
  }
  for (; i < n; ++i)
    out[i] = linear_y_u8(static_cast<std::int32_t>(s[0][i]), static_cast<std::int32_t>(s[1][i]), w0, w1);
}

/// The end of a row, outside OpenCV's groups.
template <typename T>
HWY_INLINE T cubic_tail(const float* s, const float* b) {
  return round_to<T>(cubic_y_tail(s, b));
}
template <>
HWY_INLINE std::uint8_t cubic_tail(const float* s, const float* b) {
  std::int32_t si[4], bi[4];
  for (int k = 0; k < 4; ++k) {
    si[k] = static_cast<std::int32_t>(s[k]);
    bi[k] = static_cast<std::int32_t>(b[k]);
  }
  return cubic_y_u8_fixed(si, bi);
}

template <typename T>
HWY_NOINLINE void blend_cubic(const float* const* s, const float* b, std::int64_t n, T* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float unit = std::is_same_v<T, std::uint8_t> ? 1.F / (kWeightOne * kWeightOne) : 1.F;
  const float scaled[4] = {b[0] * unit, b[1] * unit, b[2] * unit, b[3] * unit};
  const auto b0 = hn::Set(d, scaled[0]), b1 = hn::Set(d, scaled[1]), b2 = hn::Set(d, scaled[2]),
             b3 = hn::Set(d, scaled[3]);
  const std::int64_t in_groups = n / kCubicGroup<T> * kCubicGroup<T>;
  std::int64_t i = 0;
  for (; i + lanes <= in_groups; i += lanes) {
    auto sum = hn::Add(hn::Mul(hn::LoadU(d, s[2] + i), b2), hn::Mul(hn::LoadU(d, s[3] + i), b3));
    sum = hn::Add(hn::Mul(hn::LoadU(d, s[1] + i), b1), sum);
    store_rounded(d, hn::Add(hn::Mul(hn::LoadU(d, s[0] + i), b0), sum), out + i);
  }
  for (; i < n; ++i) {
    const float at[4] = {s[0][i], s[1][i], s[2][i], s[3][i]};
    out[i] = i < in_groups ? round_to<T>(cubic_y(at, scaled)) : cubic_tail<T>(at, b);
  }
}

template <typename T, int kTaps>
void resize_taps(const Pixels& image, const ResizePlan& plan, const TapBuffers& buffers, std::int64_t height,
                 std::int64_t width, T* out) {
  const AxisTaps& ty = plan.taps_y;
  const std::int64_t n = width * image.channels;
  TapRows<T, kTaps> cache(image, plan.taps_x, buffers);
  for (std::int64_t y = 0; y < height; ++y, out += n) {
    std::int32_t wanted[kTaps];
    float weights[kTaps];
    const float* rows[kTaps];
    for (int k = 0; k < kTaps; ++k) {
      wanted[k] = ty.index[k * ty.size + y];
      weights[k] = ty.weight[k * ty.size + y];
    }
    cache.get(wanted, rows);
    if constexpr (kTaps == 2) {
      blend_linear(rows, weights, n, out);
    } else {
      blend_cubic(rows, weights, n, out);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
