// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Area resize: the weighted mean of the source pixels under each output pixel. Sums are single precision, in the order
// of opencv modules/imgproc/src/resize.cpp ResizeArea_Invoker (a row's taps from the left, then rows from the top): for
// u8 and 16 bits exact halves are common, so another order would give other pixels.
#include "kernels/scalar/scalar.hpp"

namespace medsam::kernels::scalar {
namespace {

template <typename T>
float cell_sum(const T* row, const AreaCell& cell, int channels, int c) noexcept {
  float sum = 0.F;
  if (cell.w_first != 0.F) sum += static_cast<float>(row[(cell.mid_begin - 1) * channels + c]) * cell.w_first;
  for (std::int32_t x = cell.mid_begin; x < cell.mid_end; ++x)
    sum += static_cast<float>(row[x * channels + c]) * cell.w_mid;
  if (cell.w_last != 0.F) sum += static_cast<float>(row[cell.mid_end * channels + c]) * cell.w_last;
  return sum;
}

/// Sum of `area` samples of one channel, four at a time as OpenCV's unrolled loop adds them: the order matters for f32.
template <typename T>
float block_mean(const Pixels& image, std::int64_t y0, std::int64_t x0, const ResizePlan& plan, int c) noexcept {
  const std::int64_t area = plan.factor_x * plan.factor_y;
  const auto sample = [&](std::int64_t k) {
    return row_of<T>(image, y0 + k / plan.factor_x)[(x0 + k % plan.factor_x) * image.channels + c];
  };
  using Sum = std::conditional_t<std::is_same_v<T, std::uint8_t>, std::int32_t, float>;
  Sum sum = 0;
  std::int64_t k = 0;
  for (; k <= area - 4; k += 4) sum += static_cast<Sum>(sample(k) + sample(k + 1) + sample(k + 2) + sample(k + 3));
  for (; k < area; ++k) sum += static_cast<Sum>(sample(k));
  return static_cast<float>(sum) * (1.F / static_cast<float>(area));
}

/// 2 x 2 has its own rounding: integers round half up, and one-channel f32 adds in pairs (ResizeAreaFastVec).
template <typename T>
T mean_2x2(const T* top, const T* bottom, int channels) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    return ((top[0] + top[1]) + (bottom[0] + bottom[1])) * 0.25F;
  } else {
    return static_cast<T>((top[0] + top[channels] + bottom[0] + bottom[channels] + 2) >> 2);
  }
}

}  // namespace

template <typename T>
void resize_area(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width,
                 T* out) noexcept {
  for (std::int64_t y = 0; y < height; ++y) {
    const AreaCell& rows = plan.cells_y[y];
    for (std::int64_t x = 0; x < width; ++x) {
      const AreaCell& columns = plan.cells_x[x];
      for (int c = 0; c < image.channels; ++c) {
        const auto row_sum = [&](std::int32_t sy) {
          return cell_sum(row_of<T>(image, sy), columns, image.channels, c);
        };
        float sum = 0.F;
        if (rows.w_first != 0.F) sum += rows.w_first * row_sum(rows.mid_begin - 1);
        for (std::int32_t sy = rows.mid_begin; sy < rows.mid_end; ++sy) sum += rows.w_mid * row_sum(sy);
        if (rows.w_last != 0.F) sum += rows.w_last * row_sum(rows.mid_end);
        *out++ = round_to<T>(sum);
      }
    }
  }
}

template <typename T>
void resize_area_integer(const Pixels& image, const ResizePlan& plan, std::int64_t height, std::int64_t width,
                         T* out) noexcept {
  const bool by_two = plan.factor_x == 2 && plan.factor_y == 2 && !(std::is_same_v<T, float> && image.channels == 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        if (by_two) {
          const std::int64_t at = 2 * x * image.channels + c;
          *out++ = mean_2x2(row_of<T>(image, 2 * y) + at, row_of<T>(image, 2 * y + 1) + at, image.channels);
        } else {
          *out++ = round_to<T>(block_mean<T>(image, y * plan.factor_y, x * plan.factor_x, plan, c));
        }
      }
    }
  }
}

#define MEDSAM_INSTANTIATE(T)                                                                              \
  template void resize_area<T>(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, T*) noexcept; \
  template void resize_area_integer<T>(const Pixels&, const ResizePlan&, std::int64_t, std::int64_t, T*) noexcept;
MEDSAM_INSTANTIATE(std::uint8_t)
MEDSAM_INSTANTIATE(std::uint16_t)
MEDSAM_INSTANTIATE(std::int16_t)
MEDSAM_INSTANTIATE(float)
#undef MEDSAM_INSTANTIATE

}  // namespace medsam::kernels::scalar
