// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Resizing, one sample after the other (resized_sample.hpp).
#include "kernels/pixels/math/resized_sample.hpp"
#include "kernels/pixels/reference/reference.hpp"

namespace medsam::kernels::reference {

template <typename T>
void resize(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width, T* out) noexcept {
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) *out++ = resized_sample<T>(image, plan, y, x, c);
    }
  }
}

template void resize(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint8_t*) noexcept;
template void resize(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::uint16_t*) noexcept;
template void resize(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, std::int16_t*) noexcept;
template void resize(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, float*) noexcept;

}  // namespace medsam::kernels::reference
