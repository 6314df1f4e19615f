// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Rows of samples as floats and back: conversions for every pixel type. Included once a target.
#if defined(MEDSAM_KERNELS_SAMPLES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_SAMPLES_INL_H_
#undef MEDSAM_KERNELS_SAMPLES_INL_H_
#else
#define MEDSAM_KERNELS_SAMPLES_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/pixel_kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
HWY_INLINE const T* row_of(const Pixels& image, std::int64_t y) {
  return reinterpret_cast<const T*>(static_cast<const std::byte*>(image.data) + y * image.row_stride);
}

/// A vector of samples as floats.
template <class D>
HWY_INLINE hn::Vec<D> load_samples(D, const float* p) {
  return hn::LoadU(D(), p);
}
template <class D, typename T>
HWY_INLINE hn::Vec<D> load_samples(D d, const T* p) {
  const hn::RebindToSigned<D> di;
  return hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(hn::Rebind<T, D>(), p)));
}

/// Rounds halves to even and saturates, as round_to does.
template <class D>
HWY_INLINE void store_rounded(D d, hn::Vec<D> v, float* p) {
  hn::StoreU(v, d, p);
}
template <class D, typename T>
HWY_INLINE void store_rounded(D, hn::Vec<D> v, T* p) {
  const hn::Rebind<T, D> dt;
  hn::StoreU(hn::DemoteTo(dt, hn::NearestInt(v)), dt, p);
}

/// `n` samples to floats. Never reads past src[n - 1].
template <typename T>
HWY_NOINLINE void widen(const T* HWY_RESTRICT src, std::int64_t n, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(load_samples(d, src + i), d, out + i);
  for (; i < n; ++i) out[i] = static_cast<float>(src[i]);
}

/// `n` floats, rounded, to samples.
template <typename T>
HWY_NOINLINE void round_row(const float* HWY_RESTRICT src, std::int64_t n, T* HWY_RESTRICT out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_rounded(d, hn::LoadU(d, src + i), out + i);
  for (; i < n; ++i) out[i] = round_to<T>(src[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
