// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Rounding to bf16, GELU and exp: what every kernel of the encoder uses.
#if defined(MEDSAM_ENCODER_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEDSAM_ENCODER_ROUNDING_INL_H_
#undef MEDSAM_ENCODER_ROUNDING_INL_H_
#else
#define MEDSAM_ENCODER_ROUNDING_INL_H_
#endif

#include <numbers>

#include "hwy/highway.h"
#include "kernels/encoder/rows.hpp"

// Whether a processor of this target may have bf16 instructions: Highway 1.0 has no target that is sure to.
#undef MEDSAM_ENCODER_AVX512
#define MEDSAM_ENCODER_AVX512 (HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3)
// The same on Arm. Releases of Highway have up to three targets of 128 bits there, and only compilers that are new
// enough have the one that is sure of bf16; a name that a release lacks counts as 0.
#undef MEDSAM_ENCODER_NEON
#if HWY_ARCH_ARM_A64 && defined(__linux__)
#define MEDSAM_ENCODER_NEON \
  (HWY_TARGET == HWY_NEON || HWY_TARGET == HWY_NEON_WITHOUT_AES || HWY_TARGET == HWY_NEON_BF16)
#else
#define MEDSAM_ENCODER_NEON 0
#endif

HWY_BEFORE_NAMESPACE();
// NOLINTNEXTLINE(modernize-concat-nested-namespaces): HWY_NAMESPACE names one namespace per target
namespace medsam::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vec = hn::Vec<Floats>;

inline std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(Floats())); }

template <std::size_t kCount>
HWY_INLINE Vec polynomial(Vec x, const float (&coefficients)[kCount]) {
  const Floats d;
  auto p = hn::Set(d, coefficients[0]);
  for (std::size_t i = 1; i < kCount; ++i) p = hn::MulAdd(p, x, hn::Set(d, coefficients[i]));
  return p;
}

/// x Phi(x) for a Phi that rises from 0 to 1, Phi(x) = 1/2 + x P(x^2) on [-c, c], P a minimax polynomial with Phi(-c) =
/// 0 and Phi(c) = 1. For f32 c = 5.5 and P = `exact`, in u = 2 x^2 / c^2 - 1, which keeps the digits; for products of
/// bf16, whose operands are 2e-3 from their neighbors, c = 4 and P = `brief`.
template <Format kFor, std::size_t kBrief, std::size_t kExact>
HWY_INLINE Vec times_cumulative(Vec x, const float (&brief)[kBrief], const float (&exact)[kExact]) {
  const Floats d;
  constexpr float kLimit = kFor == Format::bf16 ? 4.0F : 5.5F;
  const auto z = hn::Min(hn::Max(x, hn::Set(d, -kLimit)), hn::Set(d, kLimit));
  Vec p;
  if constexpr (kFor == Format::bf16) {
    p = polynomial(hn::Mul(z, z), brief);
  } else {
    p = polynomial(hn::MulAdd(hn::Mul(z, hn::Set(d, 2 / (kLimit * kLimit))), z, hn::Set(d, -1.0F)), exact);
  }
  return hn::Mul(x, hn::MulAdd(z, p, hn::Set(d, 0.5F)));
}

/// x Phi(x), Phi the normal distribution (Hendrycks, Gimpel, arXiv 1606.08415). The error is 2e-7 max(1, |x|) at most
/// and 3e-8 in the mean, f32's own; for products of bf16 at most 2e-4 everywhere.
template <Format kFor>
HWY_INLINE Vec gelu(Vec x) {
  static constexpr float kBrief[] = {2.2588475e-08F, -1.5888422e-06F, 4.7764221e-05F, -0.00081219111F,
                                     0.008763711F,   -0.06455446F,    0.3978703F};
  static constexpr float kExact[] = {
      6.83966209e-05F, -0.000253058679F, 0.000360424048F, -0.000459660601F, 0.001147995F,  -0.00252997782F,
      0.00427833246F,  -0.00673160842F,  0.010375578F,    -0.0150358472F,   0.0203320216F, -0.0260404609F,
      0.0320732892F,   -0.0387935378F,   0.0477375761F,   -0.0641722977F,   0.12855193F};
  return times_cumulative<kFor>(x, kBrief, kExact);
}

/// x Phi(x) with Phi(x) = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (arXiv 1606.08415). The error is 2e-7 max(1,
/// |x|) at most, and for products of bf16 1.1e-4 below 1 and 4.3e-4 at most up to |x| = 400. Beyond, it is 1.1e-6 |x|:
/// `brief` has Phi(-4) = -1.07e-6 in place of 0, so that x = -1e4 gives 1.07e-2. Certified results hold these bits.
template <Format kFor>
HWY_INLINE Vec tanh_gelu(Vec x) {
  static constexpr float kBrief[] = {2.76793978e-08F, -1.87199036e-06F, 5.38788065e-05F, -0.000876142379F,
                                     0.00908910568F,  -0.0652372758F,   0.398204005F};
  static constexpr float kExact[] = {
      -0.000990774103F, 0.0010153713F,   0.00360649231F, -0.00489933084F, -0.00160521225F, 0.00185671491F,
      0.00589106989F,   -0.00903407682F, 0.00933275248F, -0.013657418F,   0.0200870691F,   -0.0261462779F,
      0.0322134591F,    -0.0389465471F,  0.0478341611F,  -0.0642054328F,  0.12855707F};
  return times_cumulative<kFor>(x, kBrief, kExact);
}

/// 2^(x log2(e)) for x <= 0, and below -87 what it is at -87, 2e-38. Minimax polynomials on [-1/2, 1/2]: for weights
/// in bf16 of degree 3, relative error 7.5e-5; for f32 of degree 6, 1e-7.
template <Format kFor>
HWY_INLINE Vec exp_below_zero(Vec x) {
  const Floats d;
  const auto t = hn::Mul(hn::Max(x, hn::Set(d, -87.0F)), hn::Set(d, std::numbers::log2e_v<float>));
  const auto n = hn::Round(t);
  const auto f = hn::Sub(t, n);
  Vec p;
  if constexpr (kFor == Format::bf16) {
    // NOLINTNEXTLINE(modernize-use-std-numbers): fitted
    static constexpr float kShort[] = {0.0551723391F, 0.242611527F, 0.693260849F, 0.999927998F};
    p = polynomial(f, kShort);
  } else {
    static constexpr float kExact[] = {
        0.000155756483F, 0.00134029333F, 0.00961775891F, 0.0555031896F, 0.240226522F, std::numbers::ln2_v<float>, 1.0F};
    p = polynomial(f, kExact);
  }
#if MEDSAM_ENCODER_AVX512
  return Vec{_mm512_scalef_ps(p.raw, n.raw)};
#else
  const hn::RebindToSigned<Floats> di;
  return hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)))));
#endif
}

/// The bits of v rounded to bf16, halves to even, below zeros; v is finite, or a NaN as arithmetic makes it.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<Floats>> rounded_bits(Vec v) {
  const hn::RebindToUnsigned<Floats> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
  return hn::And(hn::Add(hn::Add(bits, hn::Set(du, 0x7FFFU)), odd), hn::Set(du, 0xFFFF0000U));
}

/// Rounds in arithmetic: any processor.
struct Arithmetic {
  static HWY_INLINE void store(Vec v, Bf16* out) {
    const hn::Rebind<std::uint16_t, Floats> d16;
    hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(rounded_bits(v))), d16, reinterpret_cast<std::uint16_t*>(out));
  }
};

#if MEDSAM_ENCODER_AVX512
/// Rounds by AVX512_BF16's instruction, which takes subnormal numbers for 0. Written out, since a compiler offers it
/// only to functions whose target has it, and Highway's has not.
struct Native {
  static HWY_INLINE void store(Vec v, Bf16* out) {
    __m256i bits;
    asm("vcvtneps2bf16 %1, %0" : "=v"(bits) : "v"(v.raw));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bits);
  }
  /// sum + pairs of bf16 in a, times pairs in b.
  static HWY_INLINE void dot(__m512i a, __m512i b, __m512& sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
};
#endif

#if MEDSAM_ENCODER_NEON
/// Rounds by Arm's instruction, written out for the same reason.
struct Native {
  static HWY_INLINE void store(Vec v, Bf16* out) {
    uint16x4_t bits;
    asm(".arch_extension bf16\n\tbfcvtn %0.4h, %1.4s" : "=w"(bits) : "w"(v.raw));
    vst1_u16(reinterpret_cast<std::uint16_t*>(out), bits);
  }
};
#endif

/// Stores v where `out` has its row and channel, in its format.
template <class Rounding>
HWY_INLINE void store(Vec v, const Rows& out, std::int64_t row, std::int64_t channel) {
  if (out.format() == Format::f32) {
    hn::StoreU(v, Floats(), out.at<float>(row, channel));
  } else {
    Rounding::store(v, out.at<Bf16>(row, channel));
  }
}

/// The same where the compiler knows the format.
template <class Rounding, Format kFormat>
HWY_INLINE void store_as(Vec v, const Rows& out, std::int64_t row, std::int64_t channel) {
  if constexpr (kFormat == Format::f32) {
    hn::StoreU(v, Floats(), out.at<float>(row, channel));
  } else {
    Rounding::store(v, out.at<Bf16>(row, channel));
  }
}

/// The numbers from a row and a channel on, as f32.
template <Format kFormat>
HWY_INLINE Vec load_as(const ConstRows& rows, std::int64_t row, std::int64_t channel) {
  const Floats d;
  if constexpr (kFormat == Format::f32) {
    return hn::LoadU(d, rows.at<float>(row, channel));
  } else {
    const hn::RebindToUnsigned<Floats> du;
    const hn::Rebind<std::uint16_t, Floats> d16;
    const auto bits = hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(rows.at<Bf16>(row, channel)));
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
  }
}
HWY_INLINE Vec load(const ConstRows& rows, std::int64_t row, std::int64_t channel) {
  return rows.format() == Format::f32 ? load_as<Format::f32>(rows, row, channel)
                                      : load_as<Format::bf16>(rows, row, channel);
}

}  // namespace HWY_NAMESPACE
}  // namespace medsam::kernels
HWY_AFTER_NAMESPACE();

#endif
