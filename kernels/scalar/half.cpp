// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// IEEE 754 binary16 <-> binary32, by bits. Embeddings are stored this way.
#include <cstring>

#include "kernels/scalar/scalar.hpp"

namespace medsam::kernels::scalar {
namespace {

std::uint32_t bits_of(float v) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}

float float_of(std::uint32_t bits) noexcept {
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

// The smallest magnitude that rounds to infinity: half way between 65504 and 65536, a tie that goes to even.
constexpr std::uint32_t kOverflow = 0x477FF000;   // 65520
constexpr std::uint32_t kMinNormal = 0x38800000;  // 2^-14

std::uint16_t half_of(float v) noexcept {
  const std::uint32_t bits = bits_of(v);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude < kMinNormal) {
    // Adding 0.5 shifts a subnormal's bits into place, and the addition rounds to even.
    const std::uint32_t shifted = bits_of(float_of(magnitude) + 0.5F) - bits_of(0.5F);
    return static_cast<std::uint16_t>(sign | shifted);
  }
  // Rebias the exponent by 127 - 15 and round the 13 dropped bits to even.
  const std::uint32_t odd = (magnitude >> 13) & 1;
  return static_cast<std::uint16_t>(sign | ((magnitude - (112U << 23) + 0xFFF + odd) >> 13));
}

float float_of_half(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  if (magnitude < 0x0400) {  // subnormal: m * 2^-24, exact
    return float_of(sign | bits_of(static_cast<float>(magnitude) * 0x1p-24F));
  }
  if (magnitude >= 0x7C00) return float_of(sign | (magnitude << 13) | 0x7F800000U);  // infinity, NaN
  return float_of(sign | ((magnitude << 13) + (112U << 23)));
}

}  // namespace

bool to_half(const float* in, std::uint16_t* out, std::int64_t n) noexcept {
  bool fits = true;
  for (std::int64_t i = 0; i < n; ++i) {
    fits = fits && (bits_of(in[i]) & 0x7FFFFFFF) < kOverflow;
    out[i] = half_of(in[i]);
  }
  return fits;
}

void from_half(const std::uint16_t* in, float* out, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) out[i] = float_of_half(in[i]);
}

}  // namespace medsam::kernels::scalar
