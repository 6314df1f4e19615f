// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// f16 (IEEE half precision) by the processor's own conversion (F16C, AVX-512), which rounds to even as the oracle does.
// Highway's emulation on older targets truncates, so there the oracle serves.
#if defined(MEDSAM_KERNELS_F16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_KERNELS_F16_INL_H_
#undef MEDSAM_KERNELS_F16_INL_H_
#else
#define MEDSAM_KERNELS_F16_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/pixels/reference/reference.hpp"

HWY_BEFORE_NAMESPACE();
namespace medsam::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// F16C comes with AVX2. On Arm, Highway's conversion is not used yet.
inline constexpr bool kNativeF16 = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2;

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

inline bool to_f16(const float* in, std::uint16_t* out, std::int64_t n) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> dh;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto limit = hn::Set(d, 65520.0F);
  auto fits = hn::FirstN(d, hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(d, in + i);
    fits = hn::And(fits, hn::Lt(hn::Abs(v), limit));  // false for NaN
    hn::StoreU(hn::DemoteTo(dh, v), dh, reinterpret_cast<hwy::float16_t*>(out + i));
  }
  return reference::to_f16(in + i, out + i, n - i) && hn::AllTrue(d, fits);
}

inline void from_f16(const std::uint16_t* in, float* out, std::int64_t n) noexcept {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> dh;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(in + i))), d, out + i);
  }
  reference::from_f16(in + i, out + i, n - i);
}

#else

inline bool to_f16(const float* in, std::uint16_t* out, std::int64_t n) noexcept {
  return reference::to_f16(in, out, n);
}
inline void from_f16(const std::uint16_t* in, float* out, std::int64_t n) noexcept { reference::from_f16(in, out, n); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
