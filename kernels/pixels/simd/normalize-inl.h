// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Range, finiteness, normalization into planes, padding. One subtraction and one IEEE division a sample: same bits as
// the oracle.
#if defined(MEDSAM_KERNELS_NORMALIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_NORMALIZE_INL_H_
#undef MEDSAM_KERNELS_NORMALIZE_INL_H_
#else
#define MEDSAM_KERNELS_NORMALIZE_INL_H_
#endif

#include <cstring>

#include "kernels/pixels/math/normalize_plan.hpp"
#include "kernels/pixels/simd/samples-inl.h"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

template <typename T>
HWY_NOINLINE ValueRange range_of(const Pixels& image) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t n = image.width * image.channels;
  T lo = row_of<T>(image, 0)[0], hi = lo;
  auto vlo = hn::Set(d, lo), vhi = vlo;
  for (std::int64_t y = 0; y < image.height; ++y) {
    const T* HWY_RESTRICT row = row_of<T>(image, y);
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      const auto v = hn::LoadU(d, row + i);
      vlo = hn::Min(vlo, v);
      vhi = hn::Max(vhi, v);
    }
    for (; i < n; ++i) {
      lo = row[i] < lo ? row[i] : lo;
      hi = row[i] > hi ? row[i] : hi;
    }
  }
  HWY_ALIGN T los[HWY_MAX_BYTES / sizeof(T)];
  HWY_ALIGN T his[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(vlo, d, los);
  hn::Store(vhi, d, his);
  for (std::int64_t i = 0; i < lanes; ++i) {
    lo = los[i] < lo ? los[i] : lo;
    hi = his[i] > hi ? his[i] : hi;
  }
  return {static_cast<float>(lo), static_cast<float>(hi)};
}

/// A float is finite where its bits without the sign are below those of infinity.
HWY_NOINLINE bool row_finite(const float* HWY_RESTRICT row, std::int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto infinity = hn::Set(di, 0x7F800000);
  auto bad = hn::Zero(di);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto magnitude = hn::BitCast(di, hn::Abs(hn::LoadU(d, row + i)));
    bad = hn::Or(bad, hn::VecFromMask(di, hn::Gt(magnitude, hn::Sub(infinity, hn::Set(di, 1)))));
  }
  for (; i < n; ++i) {
    if (!std::isfinite(row[i])) return false;
  }
  return hn::AllTrue(di, hn::Eq(bad, hn::Zero(di)));
}

inline bool all_finite(const Pixels& image) {
  if (image.type != PixelType::f32) return true;
  for (std::int64_t y = 0; y < image.height; ++y) {
    if (!row_finite(row_of<float>(image, y), image.width * image.channels)) return false;
  }
  return true;
}

/// One row of a one-channel image into one plane.
template <typename T>
HWY_NOINLINE void normalize_row_1(const T* HWY_RESTRICT row, std::int64_t width, float offset, float divisor,
                                  float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto o = hn::Set(d, offset), s = hn::Set(d, divisor);
  std::int64_t x = 0;
  for (; x + lanes <= width; x += lanes) hn::StoreU(hn::Div(hn::Sub(load_samples(d, row + x), o), s), d, out + x);
  for (; x < width; ++x) out[x] = normalized(static_cast<float>(row[x]), offset, divisor);
}

/// One row of a 3-channel image, widened to floats, into three planes.
HWY_NOINLINE void normalize_row_3(const float* HWY_RESTRICT row, std::int64_t width, const NormalizePlan& plan,
                                  std::int64_t plane, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t x = 0;
  for (; x + lanes <= width; x += lanes) {
    hn::Vec<decltype(d)> v0, v1, v2;
    hn::LoadInterleaved3(d, row + x * 3, v0, v1, v2);
    hn::StoreU(hn::Div(hn::Sub(v0, hn::Set(d, plan.offset[0])), hn::Set(d, plan.divisor[0])), d, out + x);
    hn::StoreU(hn::Div(hn::Sub(v1, hn::Set(d, plan.offset[1])), hn::Set(d, plan.divisor[1])), d, out + plane + x);
    hn::StoreU(hn::Div(hn::Sub(v2, hn::Set(d, plan.offset[2])), hn::Set(d, plan.divisor[2])), d, out + 2 * plane + x);
  }
  for (; x < width; ++x) {
    for (int c = 0; c < 3; ++c) out[c * plane + x] = normalized(row[x * 3 + c], plan.offset[c], plan.divisor[c]);
  }
}

HWY_NOINLINE void fill_row(float value, std::int64_t n, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Set(d, value), d, out + i);
  for (; i < n; ++i) out[i] = value;
}

/// `row_buffer`: (width * channels) floats.
template <typename T>
bool normalize_pad(const Pixels& image, const ResizeNormalizeParams& params, float* row_buffer, float* out) {
  const NormalizePlan plan =
      make_normalize_plan(image, params, needs_range(params) ? range_of<T>(image) : ValueRange{});
  if (!plan.finite) return false;
  const std::int64_t size = params.out_size, plane = size * size;
  for (std::int64_t y = 0; y < image.height; ++y) {
    float* line = out + y * size;
    if (image.channels == 3) {
      widen(row_of<T>(image, y), image.width * 3, row_buffer);
      normalize_row_3(row_buffer, image.width, plan, plane, line);
    } else {
      for (int c = 0; c < 3; ++c) {
        normalize_row_1(row_of<T>(image, y), image.width, plan.offset[c], plan.divisor[c], line + c * plane);
      }
    }
    for (int c = 0; c < 3; ++c) fill_row(plan.pad, size - image.width, line + c * plane + image.width);
  }
  for (int c = 0; c < 3; ++c) {
    fill_row(plan.pad, (size - image.height) * size, out + c * plane + image.height * size);
  }
  return true;
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
