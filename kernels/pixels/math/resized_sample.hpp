// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One sample of the resized image, from a filled-in plan, for host and device: the oracle and the CUDA kernels call
// nothing else. The SIMD kernels compute the same, many samples at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/pixels/math/pixel_math.hpp"
#include "kernels/pixels/math/resize_plan.hpp"

namespace medsam::kernels {

template <typename T>
MEDSAM_HOST_DEVICE const T* image_row(const Pixels& image, std::int64_t y) noexcept {
  return reinterpret_cast<const T*>(static_cast<const std::byte*>(image.data) + y * image.row_stride);
}

/// Weighted sum of one row's samples of channel c under a cell, from the left.
template <typename T>
MEDSAM_HOST_DEVICE float cell_sum(const T* row, const AreaCell& cell, int channels, int c) noexcept {
  float sum = 0.F;
  if (cell.w_first != 0.F) sum += static_cast<float>(row[(cell.mid_begin - 1) * channels + c]) * cell.w_first;
  for (std::int32_t x = cell.mid_begin; x < cell.mid_end; ++x)
    sum += static_cast<float>(row[x * channels + c]) * cell.w_mid;
  if (cell.w_last != 0.F) sum += static_cast<float>(row[cell.mid_end * channels + c]) * cell.w_last;
  return sum;
}

/// Area resize: the weighted mean of the source pixels under an output pixel. Sums are single precision, in the order
/// of opencv modules/imgproc/src/resize.cpp ResizeArea_Invoker (a row's taps from the left, then rows from the top):
/// for u8 and 16 bits exact halves are common, so another order would give other pixels.
template <typename T>
MEDSAM_HOST_DEVICE T area_sample(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                                 int c) noexcept {
  const AreaCell &rows = plan.cells_y[y], &columns = plan.cells_x[x];
  const int channels = image.channels;
  float sum = 0.F;
  if (rows.w_first != 0.F) {
    sum += rows.w_first * cell_sum(image_row<T>(image, rows.mid_begin - 1), columns, channels, c);
  }
  for (std::int32_t sy = rows.mid_begin; sy < rows.mid_end; ++sy) {
    sum += rows.w_mid * cell_sum(image_row<T>(image, sy), columns, channels, c);
  }
  if (rows.w_last != 0.F) sum += rows.w_last * cell_sum(image_row<T>(image, rows.mid_end), columns, channels, c);
  return round_to<T>(sum);
}

/// Walks the samples of one channel under a whole-factor cell, row after row.
template <typename T>
class BlockWalk {
 public:
  MEDSAM_HOST_DEVICE BlockWalk(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                               int c) noexcept
      : image_(image), y_(y * plan.factor_y), begin_(x * plan.factor_x), width_(plan.factor_x), c_(c) {
    row_ = image_row<T>(image_, y_);
  }

  MEDSAM_HOST_DEVICE T next() noexcept {
    if (at_ == width_) {
      at_ = 0;
      row_ = image_row<T>(image_, ++y_);
    }
    return row_[(begin_ + at_++) * image_.channels + c_];
  }

 private:
  const Pixels& image_;
  const T* row_;
  std::int64_t y_, begin_, width_, at_ = 0;
  int c_;
};

/// Mean of a whole-factor cell, four samples at a time as OpenCV's unrolled loop adds them: the order matters for f32.
template <typename T>
MEDSAM_HOST_DEVICE float block_mean(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                                    int c) noexcept {
  const std::int64_t area = plan.factor_x * plan.factor_y;
  BlockWalk<T> walk(image, plan, y, x, c);
  using Sum = std::conditional_t<std::is_same_v<T, std::uint8_t>, std::int32_t, float>;
  Sum sum = 0;
  std::int64_t k = 0;
  for (; k <= area - 4; k += 4) {
    const T s0 = walk.next(), s1 = walk.next(), s2 = walk.next(), s3 = walk.next();
    sum += static_cast<Sum>(s0 + s1 + s2 + s3);
  }
  for (; k < area; ++k) sum += static_cast<Sum>(walk.next());
  return static_cast<float>(sum) * (1.F / static_cast<float>(area));
}

/// 2 x 2 has its own rounding: integers round half up, and one-channel f32 adds in pairs (ResizeAreaFastVec).
template <typename T>
MEDSAM_HOST_DEVICE T mean_2x2(const T* top, const T* bottom, int channels) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    return ((top[0] + top[1]) + (bottom[0] + bottom[1])) * 0.25F;
  } else {
    return static_cast<T>((top[0] + top[channels] + bottom[0] + bottom[channels] + 2) >> 2);
  }
}

/// Area resize by whole factors.
template <typename T>
MEDSAM_HOST_DEVICE T area_integer_sample(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                                         int c) noexcept {
  const bool by_two = plan.factor_x == 2 && plan.factor_y == 2 && !(std::is_same_v<T, float> && image.channels == 3);
  if (!by_two) return round_to<T>(block_mean<T>(image, plan, y, x, c));
  const std::int64_t at = 2 * x * image.channels + c;
  return mean_2x2(image_row<T>(image, 2 * y) + at, image_row<T>(image, 2 * y + 1) + at, image.channels);
}

/// Weighted sum of the taps along x of output sample (x, c): an integer for u8.
template <typename T, int kCount>
MEDSAM_HOST_DEVICE auto taps_sum_x(const T* row, const AxisTaps& taps, std::int64_t x, int channels, int c) noexcept {
  using Sum = std::conditional_t<std::is_same_v<T, std::uint8_t>, std::int32_t, float>;
  Sum sum = static_cast<Sum>(row[taps.index[x] * channels + c]) * static_cast<Sum>(taps.weight[x]);
  for (int k = 1; k < kCount; ++k) {
    const std::int64_t at = k * taps.size + x;
    sum += static_cast<Sum>(row[taps.index[at] * channels + c]) * static_cast<Sum>(taps.weight[at]);
  }
  return sum;
}

/// Weighted sum along y. `in_group`: the sample is in one of the whole groups of its row, see kCubicGroup.
template <typename T, int kCount>
MEDSAM_HOST_DEVICE T taps_sum_y(const float* s, const float* b, bool in_group) noexcept {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    std::int32_t si[kCount], bi[kCount];
    float scaled[kCount];
    for (int k = 0; k < kCount; ++k) {
      si[k] = static_cast<std::int32_t>(s[k]);
      bi[k] = static_cast<std::int32_t>(b[k]);
      scaled[k] = b[k] * (1.F / (kWeightOne * kWeightOne));
    }
    if constexpr (kCount == 2) return linear_y_u8(si[0], si[1], bi[0], bi[1]);
    if constexpr (kCount == 4) return in_group ? round_to<T>(cubic_y(s, scaled)) : cubic_y_u8_fixed(si, bi);
  } else {
    if constexpr (kCount == 2) return round_to<T>(s[0] * b[0] + s[1] * b[1]);
    if constexpr (kCount == 4) return round_to<T>(in_group ? cubic_y(s, b) : cubic_y_tail(s, b));
  }
}

/// Linear (2 taps) and cubic (4) resize: a weighted sum along x, then along y. u8 is fixed point with 11 fractional
/// bits, the other types are single precision (opencv modules/imgproc/src/resize.cpp HResize*, VResize*).
template <typename T, int kCount>
MEDSAM_HOST_DEVICE T taps_sample(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                                 int c) noexcept {
  const AxisTaps &tx = plan.taps_x, &ty = plan.taps_y;
  float s[kCount], b[kCount];
  for (int k = 0; k < kCount; ++k) {
    // A u8 sum is below 2^24: exact as a float.
    const T* row = image_row<T>(image, ty.index[k * ty.size + y]);
    s[k] = static_cast<float>(taps_sum_x<T, kCount>(row, tx, x, image.channels, c));
    b[k] = ty.weight[k * ty.size + y];
  }
  const std::int64_t in_groups = tx.size * image.channels / kCubicGroup<T> * kCubicGroup<T>;
  return taps_sum_y<T, kCount>(s, b, x * image.channels + c < in_groups);
}

/// Sample (y, x, c) of the resized image; for the paths that have no plan, of the image itself.
template <typename T>
MEDSAM_HOST_DEVICE T resized_sample(const Pixels& image, const ResizePlan& plan, std::int64_t y, std::int64_t x,
                                    int c) noexcept {
  switch (plan.path) {
    case ResizePath::area:
      return area_sample<T>(image, plan, y, x, c);
    case ResizePath::area_integer:
      return area_integer_sample<T>(image, plan, y, x, c);
    case ResizePath::linear:
    case ResizePath::area_enlarged:
      return taps_sample<T, 2>(image, plan, y, x, c);
    case ResizePath::cubic:
      return taps_sample<T, 4>(image, plan, y, x, c);
    case ResizePath::copy:
    case ResizePath::spline:
    case ResizePath::antialiased:
      break;
  }
  return image_row<T>(image, y)[x * image.channels + c];
}

}  // namespace medsam::kernels
