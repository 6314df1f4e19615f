// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Maths, an axis at a time (skimage/transform/_warps.py resize, mode "reflect", which is "mirror" in scipy.ndimage):
//   1. where the axis shrinks by a factor f, a Gaussian of sigma (f - 1) / 2, cut at 4 sigma (scipy gaussian_filter1d);
//   2. the coefficients of the interpolating cubic B-spline: a causal and an anticausal first-order recursion with the
//      pole sqrt(3) - 2 (Unser, Aldroubi, Eden 1993, B-spline signal processing II; scipy ni_splines.c);
//   3. the spline at (i + 0.5) in / out - 0.5 (scipy zoom with grid_mode).
// The steps of one axis commute with those of the other, so that y goes first and x on the transposed result. Both run
// over strips of kLanes neighboring columns, which fit in the second-level cache and vectorise in the lanes: the
// recursion itself is along the strip. Against skimage in double: below 1e-12 of the range, from the order of sums.
#include "kernels/pixels/single/spline_resize.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace medsam::kernels {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr double kPole = -0.26794919243112270647;  // sqrt(3) - 2
/// The pole's powers beyond this are below 1e-22.
constexpr std::int64_t kPoleReach = 40;
/// Added before the fraction is dropped. A flat area comes out as its level give or take 1e-13; published code, which
/// drops the fraction of that, loses a level at about half of its pixels, depending on the build of scipy.
constexpr double kWholeSlack = 1e-9;

/// Index of the sample that mirroring about the first and last one puts at i.
std::int64_t mirrored(std::int64_t i, std::int64_t size) noexcept {
  if (size == 1) return 0;
  const std::int64_t period = 2 * (size - 1);
  const std::int64_t at = std::abs(i) % period;
  return at < size ? at : period - at;
}

/// scipy _gaussian_kernel1d, radius int(4 sigma + 0.5).
std::int64_t gaussian_radius(std::int64_t in, std::int64_t out) noexcept {
  const double sigma = (static_cast<double>(in) / static_cast<double>(out) - 1) / 2;
  return in <= out ? 0 : static_cast<std::int64_t>(4 * sigma + 0.5);
}

void fill_gaussian(SplineAxis& axis) noexcept {
  const double sigma = (static_cast<double>(axis.in) / static_cast<double>(axis.out) - 1) / 2;
  double sum = 0;
  for (std::int64_t k = 0; k <= axis.radius; ++k) {
    const auto d = static_cast<double>(k);
    axis.gaussian[k] = k == 0 ? 1. : std::exp(-0.5 / (sigma * sigma) * d * d);
    sum += (k == 0 ? 1. : 2.) * axis.gaussian[k];
  }
  for (std::int64_t k = 0; k <= axis.radius; ++k) axis.gaussian[k] /= sum;
}

/// The cubic B-spline at the four coefficients around each output sample, times the recursions' gain of 6.
void fill_samples(SplineAxis& axis) noexcept {
  const double scale = static_cast<double>(axis.in) / static_cast<double>(axis.out);
  const auto last = static_cast<double>(axis.in - 1);
  for (std::int64_t i = 0; i < axis.out; ++i) {
    std::int32_t* index = axis.index + 4 * i;
    double* weight = axis.weight + 4 * i;
    if (!axis.filtered) {
      std::fill(index, index + 4, static_cast<std::int32_t>(axis.in == 1 ? 0 : i));
      std::fill(weight, weight + 4, 0.);
      weight[0] = 1;
      continue;
    }
    double at = (static_cast<double>(i) + 0.5) * scale - 0.5;
    at = at < 0 ? -at : at > last ? 2 * last - at : at;
    const double floor = std::floor(at), y = at - floor, z = 1 - y;
    for (std::int64_t k = 0; k < 4; ++k) {
      index[k] = static_cast<std::int32_t>(mirrored(static_cast<std::int64_t>(floor) - 1 + k, axis.in));
    }
    weight[0] = z * z * z;
    weight[1] = y * y * (y - 2) * 3 + 4;
    weight[2] = z * z * (z - 2) * 3 + 4;
    weight[3] = y * y * y;
  }
}

SplineAxis make_axis(std::int64_t in, std::int64_t out, Carver& carver) noexcept {
  SplineAxis axis{};
  axis.in = in;
  axis.out = out;
  axis.filtered = in != out && in > 1;
  axis.radius = gaussian_radius(in, out);
  axis.gaussian = carver.take<double>(static_cast<std::size_t>(axis.radius + 1));
  axis.index = carver.take<std::int32_t>(static_cast<std::size_t>(4 * out));
  axis.weight = carver.take<double>(static_cast<std::size_t>(4 * out));
  if (!carver.measuring()) {
    fill_gaussian(axis);
    fill_samples(axis);
  }
  return axis;
}

/// One row of a strip; small enough to stay in registers while taps are added up.
struct Lanes {
  double v[kLanes];
};

Lanes load(const double* p) noexcept {
  Lanes r;
  for (std::int64_t l = 0; l < kLanes; ++l) r.v[l] = p[l];
  return r;
}
void store(const Lanes& a, double* p) noexcept {
  for (std::int64_t l = 0; l < kLanes; ++l) p[l] = a.v[l];
}
Lanes scaled(const Lanes& a, double s) noexcept {
  Lanes r;
  for (std::int64_t l = 0; l < kLanes; ++l) r.v[l] = a.v[l] * s;
  return r;
}
void add_scaled(Lanes& sum, const double* p, double s) noexcept {
  for (std::int64_t l = 0; l < kLanes; ++l) sum.v[l] += p[l] * s;
}
void add_pair(Lanes& sum, const double* p, const double* q, double s) noexcept {
  for (std::int64_t l = 0; l < kLanes; ++l) sum.v[l] += (p[l] + q[l]) * s;
}

void smooth(const SplineAxis& axis, const double* in, double* out) noexcept {
  for (std::int64_t i = 0; i < axis.in; ++i) {
    Lanes sum = scaled(load(in + i * kLanes), axis.gaussian[0]);
    const bool inside = i >= axis.radius && i + axis.radius < axis.in;
    for (std::int64_t k = 1; k <= axis.radius; ++k) {
      const std::int64_t before = inside ? i - k : mirrored(i - k, axis.in);
      const std::int64_t after = inside ? i + k : mirrored(i + k, axis.in);
      add_pair(sum, in + before * kLanes, in + after * kLanes, axis.gaussian[k]);
    }
    store(sum, out + i * kLanes);
  }
}

/// Values to spline coefficients, in place, without the gain; at least two rows.
void to_coefficients(std::int64_t rows, double* data) noexcept {
  // The causal recursion's start is its sum over the mirrored signal (scipy ni_splines.c _init_causal_mirror).
  const double far = std::pow(kPole, static_cast<double>(rows - 1));
  const double* last = data + (rows - 1) * kLanes;
  Lanes state = load(data);
  add_scaled(state, last, far);
  double power = kPole;
  for (std::int64_t i = 1; i < rows - 1 && i <= kPoleReach; ++i) {
    add_scaled(state, data + i * kLanes, power);
    add_scaled(state, last - i * kLanes, power * far);
    power *= kPole;
  }
  state = scaled(state, 1 / (1 - far * far));
  store(state, data);
  for (std::int64_t i = 1; i < rows; ++i) {
    double* row = data + i * kLanes;
    for (std::int64_t l = 0; l < kLanes; ++l) state.v[l] = row[l] + kPole * state.v[l];
    store(state, row);
  }
  add_scaled(state, last - kLanes, kPole);
  state = scaled(state, kPole / (kPole * kPole - 1));
  store(state, data + (rows - 1) * kLanes);
  for (std::int64_t i = rows - 2; i >= 0; --i) {
    double* row = data + i * kLanes;
    for (std::int64_t l = 0; l < kLanes; ++l) state.v[l] = kPole * (state.v[l] - row[l]);
    store(state, row);
  }
}

/// Resizes the strip in plan.strip along `axis`; put(i, lanes) takes output row i.
template <typename Put>
void resize_strip(const SplineAxis& axis, const SplinePlan& plan, const Put& put) noexcept {
  double* data = plan.strip;
  if (axis.radius > 0) {
    smooth(axis, data, plan.smoothed);
    data = plan.smoothed;
  }
  if (axis.filtered) to_coefficients(axis.in, data);
  for (std::int64_t i = 0; i < axis.out; ++i) {
    const std::int32_t* index = axis.index + 4 * i;
    const double* weight = axis.weight + 4 * i;
    Lanes sum = scaled(load(data + index[0] * kLanes), weight[0]);
    for (int k = 1; k < 4; ++k) add_scaled(sum, data + index[k] * kLanes, weight[k]);
    put(i, sum);
  }
}

template <typename T>
const T* row_of(const Pixels& image, std::int64_t y) noexcept {
  return reinterpret_cast<const T*>(static_cast<const std::byte*>(image.data) + y * image.row_stride);
}

struct Range {
  double lo, hi;
};

template <typename T>
Range range_of(const Pixels& image) noexcept {
  T lo = row_of<T>(image, 0)[0], hi = lo;
  for (std::int64_t y = 0; y < image.height; ++y) {
    const T* row = row_of<T>(image, y);
    for (std::int64_t i = 0; i < image.width * image.channels; ++i) {
      lo = std::min(lo, row[i]);
      hi = std::max(hi, row[i]);
    }
  }
  return {static_cast<double>(lo), static_cast<double>(hi)};
}

/// Columns [x0, x0 + count) of channel c along y, into plan.columns. Unused lanes hold zeros.
template <typename T>
void resize_columns(const Pixels& image, const SplinePlan& plan, std::int64_t x0, int c) noexcept {
  const std::int64_t count = std::min(kLanes, image.width - x0);
  const std::int64_t step = image.channels;
  for (std::int64_t y = 0; y < image.height; ++y) {
    const T* row = row_of<T>(image, y) + x0 * step + c;
    double* strip = plan.strip + y * kLanes;
    for (std::int64_t l = 0; l < count; ++l) strip[l] = static_cast<double>(row[l * step]);
    std::fill(strip + count, strip + kLanes, 0.);
  }
  resize_strip(plan.y, plan, [&](std::int64_t i, const Lanes& lanes) {
    for (std::int64_t l = 0; l < count; ++l) plan.columns[(x0 + l) * plan.pitch + i] = lanes.v[l];
  });
  for (std::int64_t l = 0; l < count; ++l) {
    double* column = plan.columns + (x0 + l) * plan.pitch;
    std::fill(column + plan.y.out, column + plan.pitch, 0.);
  }
}

template <typename Out>
Out converted(double v, Range range) noexcept {
  v = std::clamp(v, range.lo, range.hi);
  if constexpr (std::is_same_v<Out, std::uint8_t>) {
    return static_cast<std::uint8_t>(v + kWholeSlack);
  } else {
    return static_cast<Out>(v);
  }
}

/// Output rows [y0, y0 + count) of channel c along x, out of plan.columns.
template <typename Out>
void resize_rows(const SplinePlan& plan, std::int64_t y0, int c, int channels, Range range, Out* out) noexcept {
  const std::int64_t count = std::min(kLanes, plan.y.out - y0);
  for (std::int64_t x = 0; x < plan.x.in; ++x) {
    store(load(plan.columns + x * plan.pitch + y0), plan.strip + x * kLanes);
  }
  resize_strip(plan.x, plan, [&](std::int64_t i, const Lanes& lanes) {
    for (std::int64_t l = 0; l < count; ++l) {
      out[((y0 + l) * plan.x.out + i) * channels + c] = converted<Out>(lanes.v[l], range);
    }
  });
}

template <typename T, typename Out>
void resize_typed(const Pixels& image, const SplinePlan& plan, Out* out) noexcept {
  const Range range = range_of<T>(image);
  for (int c = 0; c < image.channels; ++c) {
    for (std::int64_t x = 0; x < image.width; x += kLanes) resize_columns<T>(image, plan, x, c);
    for (std::int64_t y = 0; y < plan.y.out; y += kLanes) resize_rows(plan, y, c, image.channels, range, out);
  }
}

}  // namespace

SplinePlan make_spline_plan(const Pixels& image, std::int64_t new_height, std::int64_t new_width,
                            Carver& carver) noexcept {
  SplinePlan plan{};
  plan.x = make_axis(image.width, new_width, carver);
  plan.y = make_axis(image.height, new_height, carver);
  const auto strip = static_cast<std::size_t>(std::max(image.width, image.height) * kLanes);
  plan.strip = carver.take<double>(strip);
  plan.smoothed = carver.take<double>(strip);
  // Whole strips, and one cache line more: rows a power of two apart would share one set of the cache.
  plan.pitch = (new_height + kLanes - 1) / kLanes * kLanes + 8;
  plan.columns = carver.take<double>(static_cast<std::size_t>(image.width * plan.pitch));
  return plan;
}

template <typename Out>
void spline_resize(const Pixels& image, const SplinePlan& plan, Out* out) noexcept {
  switch (image.type) {
    case PixelType::u8:
      return resize_typed<std::uint8_t>(image, plan, out);
    case PixelType::u16:
      return resize_typed<std::uint16_t>(image, plan, out);
    case PixelType::i16:
      return resize_typed<std::int16_t>(image, plan, out);
    case PixelType::f32:
      return resize_typed<float>(image, plan, out);
  }
}

Pixels spline_resized(const Pixels& image, const ResizeNormalizeParams& params, Carver& carver) noexcept {
  const SplinePlan plan = make_spline_plan(image, params.new_height, params.new_width, carver);
  const std::int64_t row = params.new_width * image.channels;
  const auto samples = static_cast<std::size_t>(params.new_height * row);
  if (image.type == PixelType::u8) {
    auto* out = carver.take<std::uint8_t>(samples);
    if (!carver.measuring()) spline_resize(image, plan, out);
    return {out, PixelType::u8, params.new_height, params.new_width, image.channels, row};
  }
  auto* out = carver.take<float>(samples);
  if (!carver.measuring()) spline_resize(image, plan, out);
  return {out, PixelType::f32, params.new_height, params.new_width, image.channels, row * 4};
}

template void spline_resize(const Pixels&, const SplinePlan&, double*) noexcept;

}  // namespace medsam::kernels
