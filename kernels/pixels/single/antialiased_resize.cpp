// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Maths (python-pillow/Pillow src/libImaging/Resample.c): output sample i is the mean of the samples around
// (i + 0.5) in / out under a triangle as wide as the reduction, at least 1 to each side, cut at the image's ends. First
// along x, then along y, and what lies between is rounded: u8 to u8, its weights in fixed point; others to f32, as mode
// "F". An axis whose size does not change is left alone. Pillow 13.0 begins with y where the height shrinks the more;
// 11.3 does not, nor does this.
//
// The windows of the output rows begin and end in order: a ring of as many rows as the longest window has is all that
// is held of the image resized along x.
#include "kernels/pixels/single/antialiased_resize.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace medsam::kernels {
namespace {

/// Resample.c PRECISION_BITS: two bits of 32 stay free beside the 8 of the result.
constexpr int kFractionBits = 32 - 8 - 2;

/// How Pillow weighs and adds up pixels of type Out: u8 in fixed point, f32 in double.
template <typename Out>
using Sum = std::conditional_t<std::is_same_v<Out, std::uint8_t>, std::int32_t, double>;

template <typename Out>
constexpr Sum<Out> start_of_sum() noexcept {
  return std::is_same_v<Out, std::uint8_t> ? Sum<Out>{1 << (kFractionBits - 1)} : Sum<Out>{0};  // half: it is rounded
}

template <typename Out>
Sum<Out> stored_weight(double weight) noexcept {
  if constexpr (std::is_same_v<Out, std::uint8_t>) {
    return static_cast<std::int32_t>(0.5 + weight * (1 << kFractionBits));
  } else {
    return weight;
  }
}

template <typename Out>
Out rounded(Sum<Out> sum) noexcept {
  if constexpr (std::is_same_v<Out, std::uint8_t>) {
    return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
  } else {
    return static_cast<float>(sum);
  }
}

/// Which samples of an axis make each output sample, and by what weight.
template <typename Weight>
struct Axis {
  std::int64_t out, max_taps;
  std::int64_t *begin, *count;  // (out)
  Weight* weight;               // (out, max_taps)
};

double triangle(double x) noexcept { return std::max(1 - std::abs(x), 0.); }

/// Resample.c precompute_coeffs and normalize_coeffs_8bpc.
template <typename Out>
void fill_axis(std::int64_t in, Axis<Sum<Out>>& axis) noexcept {
  const double scale = static_cast<double>(in) / static_cast<double>(axis.out);
  const double support = std::max(scale, 1.), inverse = 1 / support;
  for (std::int64_t i = 0; i < axis.out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const std::int64_t begin = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const std::int64_t end = std::min(static_cast<std::int64_t>(center + support + 0.5), in);
    const auto weight_at = [&](std::int64_t j) { return triangle((static_cast<double>(j) - center + 0.5) * inverse); };
    double total = 0;
    for (std::int64_t j = begin; j < end; ++j) total += weight_at(j);
    for (std::int64_t j = begin; j < end; ++j) {
      axis.weight[i * axis.max_taps + j - begin] = stored_weight<Out>(weight_at(j) / total);
    }
    axis.begin[i] = begin;
    axis.count[i] = end - begin;
  }
}

/// One tap of weight 1 a sample: the axis is left alone.
template <typename Out>
void fill_unchanged(Axis<Sum<Out>>& axis) noexcept {
  for (std::int64_t i = 0; i < axis.out; ++i) {
    axis.begin[i] = i;
    axis.count[i] = 1;
    axis.weight[i] = stored_weight<Out>(1);
  }
}

template <typename Out>
Axis<Sum<Out>> make_axis(std::int64_t in, std::int64_t out, Carver& carver) noexcept {
  const double support = std::max(static_cast<double>(in) / static_cast<double>(out), 1.);
  Axis<Sum<Out>> axis{};
  axis.out = out;
  axis.max_taps = in == out ? 1 : static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
  const auto samples = static_cast<std::size_t>(out);
  axis.begin = carver.take<std::int64_t>(samples);
  axis.count = carver.take<std::int64_t>(samples);
  axis.weight = carver.take<Sum<Out>>(samples * static_cast<std::size_t>(axis.max_taps));
  if (carver.measuring()) return axis;
  if (in == out) {
    fill_unchanged<Out>(axis);
  } else {
    fill_axis<Out>(in, axis);
  }
  return axis;
}

template <typename T, typename Out, int kChannels>
void resize_row(const Axis<Sum<Out>>& axis, const T* row, Out* out) noexcept {
  for (std::int64_t i = 0; i < axis.out; ++i) {
    const Sum<Out>* weight = axis.weight + i * axis.max_taps;
    const T* pixel = row + axis.begin[i] * kChannels;
    Sum<Out> sum[kChannels];
    std::fill(sum, sum + kChannels, start_of_sum<Out>());
    for (std::int64_t j = 0; j < axis.count[i]; ++j, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sum[c] += static_cast<Sum<Out>>(pixel[c]) * weight[j];
    }
    for (int c = 0; c < kChannels; ++c) out[i * kChannels + c] = rounded<Out>(sum[c]);
  }
}

template <typename Out>
void add_row(const Out* __restrict row, Sum<Out> weight, std::int64_t samples, Sum<Out>* __restrict sum) noexcept {
  for (std::int64_t x = 0; x < samples; ++x) sum[x] += static_cast<Sum<Out>>(row[x]) * weight;
}

template <typename Out>
struct Plan {
  Axis<Sum<Out>> x, y;
  Out* ring;      // (y.max_taps, samples of a row): row r of the image resized along x lies at r % y.max_taps
  Sum<Out>* sum;  // (samples of a row)
  Out* out;       // (y.out, samples of a row)
};

template <typename Out>
Plan<Out> make_plan(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  Plan<Out> plan{};
  plan.x = make_axis<Out>(image.width, params.new_width, carver);
  plan.y = make_axis<Out>(image.height, params.new_height, carver);
  const auto samples = static_cast<std::size_t>(params.new_width * image.channels);
  plan.ring = carver.take<Out>(samples * static_cast<std::size_t>(plan.y.max_taps));
  plan.sum = carver.take<Sum<Out>>(samples);
  plan.out = carver.take<Out>(samples * static_cast<std::size_t>(params.new_height));
  return plan;
}

template <typename T, typename Out, int kChannels>
void resize(const Pixels& image, const Plan<Out>& plan) noexcept {
  const std::int64_t samples = plan.x.out * kChannels;
  const auto* data = static_cast<const std::byte*>(image.data);
  std::int64_t next = plan.y.begin[0];  // the first row that is not in the ring yet
  for (std::int64_t i = 0; i < plan.y.out; ++i) {
    const std::int64_t begin = plan.y.begin[i], end = begin + plan.y.count[i];
    for (; next < end; ++next) {
      const auto* row = reinterpret_cast<const T*>(data + next * image.row_stride);
      resize_row<T, Out, kChannels>(plan.x, row, plan.ring + next % plan.y.max_taps * samples);
    }
    std::fill(plan.sum, plan.sum + samples, start_of_sum<Out>());
    for (std::int64_t row = begin; row < end; ++row) {
      const Sum<Out> weight = plan.y.weight[i * plan.y.max_taps + row - begin];
      add_row(plan.ring + row % plan.y.max_taps * samples, weight, samples, plan.sum);
    }
    std::transform(plan.sum, plan.sum + samples, plan.out + i * samples, rounded<Out>);
  }
}

template <typename T, typename Out>
Pixels resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  const Plan<Out> plan = make_plan<Out>(image, params, carver);
  if (!carver.measuring()) {
    image.channels == 1 ? resize<T, Out, 1>(image, plan) : resize<T, Out, 3>(image, plan);
  }
  constexpr PixelType kType = std::is_same_v<Out, std::uint8_t> ? PixelType::u8 : PixelType::f32;
  const std::int64_t stride = params.new_width * image.channels * static_cast<std::int64_t>(sizeof(Out));
  return {plan.out, kType, params.new_height, params.new_width, image.channels, stride};
}

}  // namespace

Pixels antialiased_resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  switch (image.type) {
    case PixelType::u8:
      return resized<std::uint8_t, std::uint8_t>(image, params, carver);
    case PixelType::u16:
      return resized<std::uint16_t, float>(image, params, carver);
    case PixelType::i16:
      return resized<std::int16_t, float>(image, params, carver);
    case PixelType::f32:
      break;
  }
  return resized<float, float>(image, params, carver);
}

}  // namespace medsam::kernels
