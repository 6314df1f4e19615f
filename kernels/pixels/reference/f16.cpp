// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// IEEE 754 binary16 <-> binary32. Embeddings are stored this way.
#include "kernels/pixels/reference/reference.hpp"

namespace medsam::kernels::reference {

bool to_f16(const float* in, std::uint16_t* out, std::int64_t n) noexcept {
  bool fits = true;
  for (std::int64_t i = 0; i < n; ++i) {
    fits = fits && fits_f16(in[i]);
    out[i] = half_of(in[i]);
  }
  return fits;
}

void from_f16(const std::uint16_t* in, float* out, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) out[i] = float_of_f16(in[i]);
}

}  // namespace medsam::kernels::reference
